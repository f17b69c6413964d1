// Has the list and opened cases kept on this device, says when what is shown was kept, and forgets all of it when
// whoever is signed in goes.
import { said, words } from './page.js';
import { clear, kept } from './queue.js';

async function forget() {
  if ('caches' in window) {
    const names = await caches.keys();
    await Promise.all(names.filter((name) => name.startsWith('lianxin-pages')).map((name) => caches.delete(name)));
  }
  await clear();
}

export function startOffline() {
  if ('serviceWorker' in navigator) {
    navigator.serviceWorker.register('/sw.js', { scope: '/inbox' })
      .catch(() => { /* private windows and full disks refuse: the page works, only not without a line */ });
  }
  const told = document.getElementById('kept');
  if (told && said.keptAt) {
    const at = new Date(said.keptAt).toLocaleString(document.documentElement.lang, { dateStyle: 'short', timeStyle: 'short' });
    told.textContent = told.dataset.text.replace('%at%', at);
    told.hidden = false;
    document.addEventListener('board', () => { told.hidden = true; });
  }
  const out = document.getElementById('signout');
  out?.addEventListener('submit', async (event) => {
    event.preventDefault();
    const waits = (await kept()).filter((one) => one.state !== 'refused').length;
    if (waits && !window.confirm(words('outbox').leaving.replace('%n%', waits))) return;
    await forget();
    out.submit();
  });
}
