// Looks again every 15 seconds. While it can't, what is shown stays and says how old it is.
'use strict';
(() => {
  const EVERY_MS = 15000;
  async function look() {
    try {
      const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      document.getElementById('screen').replaceWith(page.getElementById('screen'));
    } catch {
      const at = document.getElementById('at');
      if (!at.classList.contains('old')) {
        at.classList.add('old');
        at.textContent = `! ${document.body.dataset.old} · ${at.textContent}`;
      }
    }
    setTimeout(look, EVERY_MS);
  }
  setTimeout(look, EVERY_MS);
})();
