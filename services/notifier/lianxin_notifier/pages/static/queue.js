// Actions on their way: each is kept on this device from the moment it is given until the router has decided, under
// one id, so that it counts once however often it is sent. Without a line it waits here, in order.
import { inEnglish, pause, person, said } from './page.js';
import { NoLine, Refused, upload } from './uploading.js';

const DATABASE = 'lianxin-workbench';
const STORE = 'actions';
const EVERY_MS = 15000; // how often what waits is tried again while the page is open
const OTHERS_MS = 7 * 24 * 3600 * 1000; // somebody else's on this device: kept for them for a week
const UNDO_MS = 8000; // after this an action that could still be taken back was left behind by its page
const memory = new Map();
const unstored = new Set(); // keys of what this page alone holds: private windows, full disks

const shelf = new Promise((resolve) => {
  let asked;
  try { asked = indexedDB.open(DATABASE, 1); } catch { resolve(null); return; }
  asked.onupgradeneeded = () => asked.result.createObjectStore(STORE, { keyPath: 'key' });
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = asked.onblocked = () => resolve(null);
});

async function onShelf(mode, work) {
  const open = await shelf;
  if (!open) return undefined;
  return new Promise((resolve) => {
    const turn = open.transaction(STORE, mode);
    const asked = work(turn.objectStore(STORE));
    turn.oncomplete = () => resolve(asked && asked.result);
    turn.onerror = turn.onabort = () => resolve(undefined); // full: memory has to do
  });
}

const changed = () => document.dispatchEvent(new Event('queue'));

// An action: {key, person, case, address, title, about, fields: [[name, value]], photos, at, state, text}; its state
// is `undo` (may be taken back), `waiting`, `sent` (the router has not decided) or `refused`.
export async function put(action) {
  memory.set(action.key, action);
  const stored = await onShelf('readwrite', (store) => store.put(action));
  if (stored === undefined) unstored.add(action.key); else unstored.delete(action.key);
  changed();
}

export async function remove(key) {
  memory.delete(key);
  await onShelf('readwrite', (store) => store.delete(key));
  changed();
}

export async function kept() {
  const stored = (await onShelf('readonly', (store) => store.getAll())) || [];
  const there = new Set(stored.map((one) => one.key));
  [...memory.keys()].filter((key) => !there.has(key) && !unstored.has(key)).forEach((key) => memory.delete(key));
  stored.forEach((one) => memory.set(one.key, one)); // another tab may have brought it further
  const old = Date.now() - OTHERS_MS;
  [...memory.values()].filter((one) => one.person !== person && one.at < old).forEach((one) => remove(one.key));
  return [...memory.values()].filter((one) => one.person === person).sort((a, b) => a.at - b.at);
}

export async function clear() {
  memory.clear();
  await onShelf('readwrite', (store) => store.clear());
}

async function asked(address, options) {
  try { return await fetch(address, options); } catch { throw new NoLine('action'); }
}

// What became of a command: {status, text}. Still pending after six seconds is told as that.
async function outcome(command) {
  const address = `/inbox/commands/${command}${inEnglish() ? '?lang=en' : ''}`;
  for (let tries = 0; ; tries += 1) {
    const answer = await asked(address, { headers: { Accept: 'application/json' } });
    const told = answer.ok ? await answer.json() : { status: 'pending', text: '' };
    if (told.status !== 'pending' || tries === 39) return told;
    await pause(150);
  }
}

// Sends one action and waits for what becomes of it. Throws NoLine.
async function deliver(action) {
  const fields = new URLSearchParams(action.fields);
  fields.set('csrf', said.csrf);
  const ids = [];
  for (const photo of action.photos) {
    const had = photo.attachment;
    ids.push(await upload(photo));
    if (photo.attachment !== had) await put(action); // not once more from the start
  }
  if (ids.length) fields.set('evidence', ids.join(' '));
  const answer = await asked(action.address, { method: 'POST', body: fields, headers: { Accept: 'application/json' } });
  const told = await answer.json().catch(() => ({}));
  // Signed out, or in anew: it waits for the next page of whoever gave it.
  const later = answer.status === 401 || told.code === 'form_forged' || answer.status === 429 || answer.status >= 500;
  if (later) throw Object.assign(new NoLine(String(answer.status)), { shown: told.shown });
  if (!answer.ok) return { status: 'refused', text: told.shown || String(answer.status) };
  await put({ ...action, state: 'sent' });
  return { ...(await outcome(told.command_id)), page: told.page };
}

const results = new Map(); // key -> what became of it, for whoever waits on this page
let running = Promise.resolve();

function alone(work) {
  if (navigator.locks) return navigator.locks.request('lianxin-queue', work);
  running = running.then(work, work);
  return running;
}

// Sends what waits, oldest first; stops where there is no line.
export function flush() {
  return alone(async () => {
    for (const action of await kept()) {
      const left = action.state === 'undo' && Date.now() - action.at > UNDO_MS;
      if (!left && action.state !== 'waiting' && action.state !== 'sent') continue;
      try {
        const became = await deliver(action);
        results.set(action.key, became);
        if (became.status === 'refused') await put({ ...action, state: 'refused', text: became.text });
        else await remove(action.key);
      } catch (error) {
        if (error instanceof Refused) { // a photo that intake does not take
          results.set(action.key, { status: 'refused', code: error.code });
          await put({ ...action, state: 'refused', code: error.code });
          continue;
        }
        if (!(error instanceof NoLine)) throw error;
        results.set(action.key, { status: 'waiting', text: error.shown });
        await put({ ...action, state: 'waiting' });
        return;
      }
    }
  });
}

// Sends `action` now, behind what waits. Its result: {status: applied|refused|pending|waiting, text, page}.
export async function give(action) {
  await put({ ...action, state: 'waiting' });
  await flush();
  const became = results.get(action.key) || { status: 'waiting' };
  results.delete(action.key);
  return became;
}

export function startQueue() {
  const look = async () => {
    const waits = (await kept()).some((one) => one.state !== 'refused');
    if (!waits) return;
    await flush();
    if (results.size) document.dispatchEvent(new CustomEvent('delivered', { detail: new Map(results) }));
    results.clear();
  };
  addEventListener('online', look);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) look(); });
  setInterval(look, EVERY_MS);
  look();
}
