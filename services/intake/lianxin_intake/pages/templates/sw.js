// Opens a station's page without a line, after one visit. The net comes first, so that a page is never old while
// there is one; only the empty page and what it is made of are kept, never what is below /t, and nothing with a code.
'use strict';
const CACHE = 'lianxin-' + 'VERSION';
const STATIC = ['KEPT'];
const PATIENCE_MS = 5000; // a line that is there and says nothing is none
const LOOKS = ['lang', 'size', 'kiosk'];

// What a request is kept under; null for what is not kept at all.
function named(request) {
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== location.origin) return null;
  if (STATIC.includes(url.pathname)) return url.pathname;
  if (!/^\/s\/[^/]+(\/map|\/topics)?$/.test(url.pathname)) return null;
  const look = LOOKS.filter((name) => url.searchParams.has(name)).map((name) => name + '=' + url.searchParams.get(name));
  return url.pathname + (look.length ? '?' + look.join('&') : '');
}
async function fetched(request, name) {
  const answer = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });
  if (answer.status === 200 && answer.type === 'basic' && !answer.redirected) {
    const cache = await caches.open(CACHE);
    await cache.put(name, answer.clone());
  }
  return answer;
}
async function answered(request, name) {
  try {
    return await fetched(request, name);
  } catch (error) {
    const cache = await caches.open(CACHE);
    const kept = await cache.match(name) || await cache.match(name, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}
self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(CACHE)
    .then((cache) => cache.addAll(STATIC.map((path) => new Request(path, { cache: 'reload' }))))
    .then(() => self.skipWaiting()));
});
self.addEventListener('activate', (event) => {
  event.waitUntil(caches.keys()
    .then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))))
    .then(() => self.clients.claim()));
});
self.addEventListener('fetch', (event) => {
  const name = named(event.request);
  if (name) event.respondWith(answered(event.request, name));
});
// The first visit goes by the worker unseen: the page says where it is.
self.addEventListener('message', (event) => {
  const request = new Request(String(event.data));
  const name = named(request);
  if (name) event.waitUntil(fetched(request, name).then((answer) => event.source.postMessage(answer.status)));
});
