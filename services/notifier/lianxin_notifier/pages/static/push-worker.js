// Shows an alert that comes while no page is open, and opens its case when it is pressed. Nothing else: pages
// are not touched by it.
'use strict';

self.addEventListener('install', () => { self.skipWaiting(); });
self.addEventListener('activate', (event) => { event.waitUntil(self.clients.claim()); });

self.addEventListener('push', (event) => {
  // Browsers take the permission away from whoever shows nothing: an alert that can't be read is one, too.
  let alert = { title: '【连心】', body: '', path: '/inbox', tag: 'inbox', language: 'zh-CN', urgent: false };
  try { alert = { ...alert, ...event.data.json() }; } catch { /* see above */ }
  event.waitUntil(self.registration.showNotification(alert.title, {
    body: alert.body,
    tag: alert.tag,
    renotify: true,
    requireInteraction: alert.urgent,
    lang: alert.language,
    icon: '/static/icon.svg',
    data: { path: alert.path },
  }));
});

self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  const address = new URL(event.notification.data.path, self.location.origin);
  if (address.origin !== self.location.origin) return;
  event.waitUntil((async () => {
    const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
    const open = pages.find((page) => new URL(page.url).pathname === address.pathname);
    if (open) { await open.focus(); return; }
    await self.clients.openWindow(address.href);
  })());
});
