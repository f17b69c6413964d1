// Opens the list and the cases that were opened before when there is no line. Network first, always: what is kept is
// shown only where nothing came. Kept is what the server marks as fit for it (never a page with a contact), for one
// person at a time, and forgotten when that person is signed out.
'use strict';
importScripts('/push-worker.js'); // alerts come to the same worker: pages below /inbox have one alone
const SHELL = 'lianxin-shell-VERSION';
const PAGES = 'lianxin-pages';
const KEPT = ['KEPT'];
const AWAY = ['/inbox/away', '/inbox/away?lang=en'];
const MARK = 'Lianxin-Keep';
const KEPT_AT = 'Lianxin-Kept-At';
const PATIENCE_MS = 6000; // for a page that is kept too: a line that hangs is no line
const LONGEST_MS = 72 * 3600 * 1000;
const MOST = 40; // cases
const CASE = /^\/inbox\/[0-9a-f-]{36}$/;

self.addEventListener('install', (event) => {
  event.waitUntil((async () => {
    await (await caches.open(SHELL)).addAll([...KEPT, ...AWAY]);
    await self.skipWaiting();
  })());
});

self.addEventListener('activate', (event) => {
  event.waitUntil((async () => {
    const names = await caches.keys();
    await Promise.all(names.filter((name) => name.startsWith('lianxin-shell') && name !== SHELL).map((name) => caches.delete(name)));
    await self.clients.claim();
  })());
});

self.addEventListener('fetch', (event) => {
  const { method, url } = event.request;
  const address = new URL(url);
  if (method !== 'GET' || address.origin !== location.origin) return;
  if (address.pathname.startsWith('/static/')) event.respondWith(part(event.request));
  else if (address.pathname === '/inbox' || CASE.test(address.pathname)) event.respondWith(page(event, address));
});

async function part(request) {
  try { return await fetch(request); } catch (error) {
    const kept = await caches.match(request, { cacheName: SHELL });
    if (kept) return kept;
    throw error;
  }
}

// What a page is kept under: a case shown with what became of a command is the same case.
function keyOf(address) {
  const key = new URL(address.pathname, location.origin);
  for (const name of ['lang', 'size', 'stage']) {
    if (address.searchParams.has(name)) key.searchParams.set(name, address.searchParams.get(name));
  }
  return key.href;
}

async function page(event, address) {
  const opened = event.request.mode === 'navigate';
  const cache = await caches.open(PAGES);
  const kept = opened ? await cache.match(keyOf(address)) : undefined;
  try {
    const answer = await within(fetch(event.request), kept ? PATIENCE_MS : 0);
    if (answer.type === 'opaqueredirect' || answer.redirected || answer.status === 401) event.waitUntil(caches.delete(PAGES));
    else if (answer.ok && answer.headers.get(MARK)) event.waitUntil(keep(address, answer.clone()));
    else if (answer.status === 404 || answer.status === 403) event.waitUntil(cache.delete(keyOf(address)));
    if (kept && [502, 503, 504].includes(answer.status)) return await shown(kept) || answer;
    return answer;
  } catch (error) {
    if (!opened) throw error;
    return (kept && await shown(kept)) || away(address);
  }
}

function within(work, ms) {
  if (!ms) return work;
  return Promise.race([work, new Promise((_, reject) => { setTimeout(() => reject(new Error('too slow')), ms); })]);
}

async function shown(kept) {
  const at = kept.headers.get(KEPT_AT);
  if (Date.now() - Date.parse(at) > LONGEST_MS) return null;
  const text = (await kept.text()).replace('<body', `<body data-kept-at="${at}"`);
  return new Response(text, { headers: kept.headers });
}

async function away(address) {
  const english = address.searchParams.get('lang') === 'en';
  return (await caches.match(AWAY[english ? 1 : 0], { cacheName: SHELL })) || Response.error();
}

async function keep(address, answer) {
  const owner = answer.headers.get(MARK);
  let cache = await caches.open(PAGES);
  const before = await cache.match('/inbox/owner');
  if (before && (await before.text()) !== owner) { // somebody else on this device
    await caches.delete(PAGES);
    cache = await caches.open(PAGES);
  }
  await cache.put('/inbox/owner', new Response(owner));
  const text = await answer.text();
  const headers = new Headers(answer.headers);
  headers.set(KEPT_AT, new Date().toISOString());
  const key = keyOf(address);
  await cache.delete(key); // so that it counts as the newest
  await cache.put(key, new Response(text, { headers }));
  await prune(cache, address, text);
}

// What has left the list (passed on, closed, erased) leaves this device too; of the rest the newest stay.
async function prune(cache, address, text) {
  const cases = (await cache.keys()).filter((one) => CASE.test(new URL(one.url).pathname));
  let left = cases;
  if (address.pathname === '/inbox' && !address.searchParams.has('stage')) {
    const listed = new Set([...text.matchAll(/data-id="([0-9a-f-]{36})"/g)].map((found) => `/inbox/${found[1]}`));
    const gone = cases.filter((one) => !listed.has(new URL(one.url).pathname));
    await Promise.all(gone.map((one) => cache.delete(one)));
    left = cases.filter((one) => !gone.includes(one));
  }
  await Promise.all(left.slice(0, Math.max(0, left.length - MOST)).map((one) => cache.delete(one)));
}
