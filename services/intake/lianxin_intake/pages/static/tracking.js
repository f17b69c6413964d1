// Looks again by itself while something may still happen, and never while somebody is filling in a form.
'use strict';
(() => {
  const soon = document.querySelector('.now').dataset.stage === 'submitted' ? 3000 : 30000;
  const main = document.querySelector('main');
  // What a reader would notice; the keys in forms are others at each look.
  const seen = (part) => part.textContent + [...part.querySelectorAll('img')].map((image) => image.getAttribute('src')).join();
  async function look() {
    const touched = main.querySelector('form :checked, details[open]') || main.querySelector('textarea')?.value;
    if (!document.hidden && !touched) {
      try {
        const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
        if (answer.ok) {
          const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
          if (seen(page.querySelector('main')) !== seen(main)) {
            main.innerHTML = page.querySelector('main').innerHTML;
            document.title = page.title;
          }
        }
      } catch { /* no connection: what is shown stays, and the next look may find one */ }
    }
    setTimeout(look, soon);
  }
  setTimeout(look, soon);
})();
