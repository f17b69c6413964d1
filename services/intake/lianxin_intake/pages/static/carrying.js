// The other language or size is another page: what was typed goes along to it, once, and is left nowhere.
'use strict';
(() => {
  const form = document.getElementById('opinion') || document.getElementById('call');
  const NAME = 'lianxin.carried';
  // Made anew by each page, or not for people.
  const OWN = ['token', 'key', 'website', 'photo_keys', 'photos', 'chosen', 'chosen_for'];

  let carried = null;
  try {
    carried = JSON.parse(sessionStorage.getItem(NAME));
    sessionStorage.removeItem(NAME);
  } catch { /* switched off: nothing was carried */ }
  if (carried && carried.path === location.pathname) {
    const filled = [];
    for (const [name, value] of carried.fields) {
      const input = form.elements[name];
      if (!input || OWN.includes(name) || !value) continue;
      input.value = value;
      filled.push(input);
      const folded = input.closest('details');
      if (folded) folded.open = true;
    }
    // Whatever listens to typing looks at it as if it had been typed here.
    window.addEventListener('load', () => {
      filled.forEach((input) => input.dispatchEvent(new Event('input', { bubbles: true })));
    });
  }
  document.querySelectorAll('header nav a').forEach((link) => link.addEventListener('click', (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // another tab: this one keeps what it has
    const fields = [...new FormData(form)].filter(([, value]) => typeof value === 'string');
    try { sessionStorage.setItem(NAME, JSON.stringify({ path: location.pathname, fields })); } catch { /* as before: it is lost */ }
  }));
})();
