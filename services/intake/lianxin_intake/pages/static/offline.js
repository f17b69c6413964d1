// Has the page kept, so that it opens without a line next time.
if ('serviceWorker' in navigator) {
  navigator.serviceWorker.register('/sw.js', { scope: '/s/' }).then(async (registration) => {
    const worker = registration.active || await new Promise((done) => {
      const coming = registration.installing || registration.waiting;
      coming.addEventListener('statechange', () => { if (coming.state === 'activated') done(coming); });
    });
    navigator.serviceWorker.addEventListener('message', () => { document.documentElement.dataset.kept = 'yes'; });
    worker.postMessage(location.href);
  }).catch(() => { /* private windows and full disks refuse: the page works, only not without a line */ });
}
