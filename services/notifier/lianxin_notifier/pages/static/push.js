// Alerts in this browser: asked for when the button is pressed, and never before.
'use strict';
(() => {
  const part = document.getElementById('push');
  if (!part) return;
  const said = part.dataset;
  const button = document.getElementById('push-on');
  const state = document.getElementById('push-state');

  function tell(text, kind) {
    state.className = `message ${kind}`;
    state.textContent = text;
  }

  // An iPhone has PushManager only where the page was added to the home screen; other pages need https.
  if (!('serviceWorker' in navigator) || !('PushManager' in window) || !('Notification' in window)) {
    tell(said.unsupported, '');
    return;
  }
  button.hidden = false;

  function bytes(base64url) {
    const text = atob(base64url.replace(/-/g, '+').replace(/_/g, '/'));
    return Uint8Array.from(text, (one) => one.charCodeAt(0));
  }

  // Where a browser's push service can't be reached, some never say so.
  function within(seconds, promise) {
    return Promise.race([
      promise,
      new Promise((_, fail) => { setTimeout(() => fail(new Error('no answer')), seconds * 1000); }),
    ]);
  }

  function active(registration) {
    const coming = registration.installing || registration.waiting;
    if (registration.active || !coming) return Promise.resolve();
    return new Promise((resolve) => {
      coming.addEventListener('statechange', () => { if (coming.state === 'activated') resolve(); });
    });
  }

  async function subscribe() {
    const answer = await fetch('/v1/push/key');
    if (!answer.ok) throw new Error('no key');
    const key = bytes((await answer.json()).key);
    // The worker of the offline pages, which brings /push-worker.js in: a browser takes alerts by one alone.
    const worker = await navigator.serviceWorker.register('/sw.js', { scope: '/inbox' });
    await active(worker);
    const before = await worker.pushManager.getSubscription();
    // One made with another key of the server opens nothing any more.
    const old = before && new Uint8Array(before.options.applicationServerKey || []);
    if (before && (old.length !== key.length || old.some((one, at) => one !== key[at]))) await before.unsubscribe();
    return worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  }

  async function press() {
    if (await Notification.requestPermission() !== 'granted') { tell(said.denied, 'bad'); return; }
    const subscription = await within(30, subscribe());
    const answer = await fetch('/v1/push/subscriptions', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': said.csrf },
      body: JSON.stringify(subscription),
    });
    if (!answer.ok) throw new Error('not taken');
    tell(said.done, 'good');
    const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), 'text/html');
    const list = page.querySelector('#push .devices');
    const shown = part.querySelector('.devices');
    if (shown && list) shown.replaceWith(list);
    else if (list) part.append(page.querySelector('#push h3'), list);
  }

  button.addEventListener('click', async () => {
    button.disabled = true;
    tell('', '');
    try { await press(); } catch { tell(said.failed, 'bad'); }
    button.disabled = false;
  });
})();
