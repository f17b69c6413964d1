// Actions on their way: each is kept on this device from the moment it is given until the router has decided, under
// one id, so that it counts once however often it is sent. Without a line it waits here, in order.
import { inEnglish, pause, person, said } from './page.js';
import { NoLine, Refused, upload } from './uploading.js';

const DATABASE = 'lianxin-workbench';
const STORE = 'actions';
const EVERY_MS = 15000; // how often what waits is tried again while the page is open
const SOON_MS = 3000; // how often the router's decision on what was sent is asked for, once nobody waits for it
const OLD_MS = 7 * 24 * 3600 * 1000; // how long somebody else's on this device, and what is never decided, is kept
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

// An action: {key, person, case, address, title, about, fields: [[name, value]], photos, at, state, text, page,
// command}; its state is `undo` (may be taken back), `waiting`, `sent` (the router has not decided; from the answer on
// with `page` and `command`) or `refused`.
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
  const old = (one) => one.at < Date.now() - OLD_MS && (one.person !== person || one.state === 'sent');
  [...memory.values()].filter(old).forEach((one) => remove(one.key));
  return [...memory.values()].filter((one) => one.person === person).sort((a, b) => a.at - b.at);
}

export async function clear() {
  memory.clear();
  await onShelf('readwrite', (store) => store.clear());
}

async function asked(address, options) {
  try { return await fetch(address, options); } catch { throw new NoLine('action'); }
}

// What became of a command so far: {status: applied|refused|pending, text}. Throws NoLine.
async function standing(command) {
  const address = `/inbox/commands/${command}${inEnglish() ? '?lang=en' : ''}`;
  const answer = await asked(address, { headers: { Accept: 'application/json' } });
  return answer.ok ? answer.json() : { status: 'pending', text: '' };
}

// The same within six seconds: nobody waits longer before the page is shown.
async function outcome(command) {
  for (let tries = 0; ; tries += 1) {
    const told = await standing(command);
    if (told.status !== 'pending' || tries === 39) return told;
    await pause(150);
  }
}

// Sends one action and waits for what becomes of it; asks no more than that where it was sent. Throws NoLine.
async function deliver(action) {
  const { page, command } = action;
  if (command) return { ...(await standing(command)), page, command };
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
  const sent = { page: told.page, command: told.command_id };
  await put({ ...action, ...sent, state: 'sent' });
  return { ...(await outcome(sent.command)), ...sent };
}

const results = new Map(); // key -> what became of it
const awaited = new Set(); // keys whose result somebody on this page waits for
let soon = null;
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
        else if (became.status === 'applied') await remove(action.key);
        else lookSoon();
      } catch (error) {
        if (error instanceof Refused) { // a photo that intake does not take
          results.set(action.key, { status: 'refused', code: error.code });
          await put({ ...action, state: 'refused', code: error.code });
          continue;
        }
        if (!(error instanceof NoLine)) throw error;
        results.set(action.key, { status: 'waiting', text: error.shown });
        await put({ ...action, state: action.command ? 'sent' : 'waiting' });
        return;
      }
    }
  });
}

// Sends `action` now, behind what waits. Its result: {status: applied|refused|pending|waiting, text, page}.
export async function give(action) {
  awaited.add(action.key);
  await put({ ...action, state: 'waiting' });
  await flush();
  const became = results.get(action.key) || { status: 'waiting' };
  results.delete(action.key);
  awaited.delete(action.key);
  return became;
}

// Goes on with what waits or is not decided; tells what became of it by the event `delivered`.
async function look() {
  if (!(await kept()).some((one) => one.state !== 'refused')) return;
  await flush();
  const delivered = new Map([...results].filter(([key]) => !awaited.has(key)));
  delivered.forEach((_, key) => results.delete(key));
  if (delivered.size) document.dispatchEvent(new CustomEvent('delivered', { detail: delivered }));
}

function lookSoon() {
  clearTimeout(soon);
  soon = setTimeout(look, SOON_MS);
}

export function startQueue() {
  addEventListener('online', look);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) look(); });
  setInterval(look, EVERY_MS);
  look();
}
