// Looks again by itself while something may still happen. While somebody is filling in a form only what is beside it
// changes: what was typed stays, and so does the place.
'use strict';
(() => {
  const soon = document.querySelector('.now').dataset.stage === 'submitted' ? 3000 : 30000;
  const main = document.querySelector('main');
  // What a reader would notice; the keys in forms are others at each look.
  const seen = (part) => part.textContent + [...part.querySelectorAll('img')].map((image) => image.getAttribute('src')).join();
  function show(page) {
    const fresh = page.querySelector('main');
    if (seen(fresh) === seen(main)) return;
    const touched = main.querySelector('form :checked, details[open]') || main.querySelector('textarea')?.value;
    if (!touched) {
      main.innerHTML = fresh.innerHTML;
      document.title = page.title;
      return;
    }
    for (const part of main.querySelectorAll('[data-part]')) {
      const now = fresh.querySelector('[data-part="' + part.dataset.part + '"]');
      if (now && seen(now) !== seen(part)) part.replaceWith(now);
    }
  }
  async function look() {
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
        if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), 'text/html'));
      } catch { /* no connection: what is shown stays, and the next look may find one */ }
    }
    setTimeout(look, soon);
  }
  setTimeout(look, soon);
})();
