// Ctrl+Enter sends, places are found while they are typed, and the receipt prints. Without it everything works too:
// the server then asks which place is meant.
'use strict';
(() => {
  const print = document.getElementById('print');
  if (print) {
    print.hidden = false;
    print.addEventListener('click', () => window.print());
    // What is not printed loses the focus: the next call begins where it was.
    window.addEventListener('afterprint', () => document.querySelector('.taken a').focus());
    return;
  }
  const form = document.getElementById('call');
  const place = document.getElementById('place');
  const places = document.getElementById('places');
  const found = document.getElementById('found');
  const chosenFor = document.getElementById('chosen_for');
  let asked = 0;
  let pause = 0;

  form.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener('submit', () => { document.getElementById('send').disabled = true; });
  window.addEventListener('pageshow', () => { document.getElementById('send').disabled = false; });

  function choice(value, name, within, checked) {
    const label = document.createElement('label');
    label.className = 'choice';
    const radio = document.createElement('input');
    radio.type = 'radio';
    radio.name = 'chosen';
    radio.value = value;
    radio.checked = checked;
    const words = document.createElement('span');
    words.textContent = name + ' ';
    if (within) words.append(Object.assign(document.createElement('small'), { textContent: within }));
    label.append(radio, words);
    return label;
  }
  function show(items, said) {
    places.querySelectorAll('.choice').forEach((one) => one.remove());
    places.hidden = items.length === 0;
    chosenFor.value = items.length ? said : '';
    found.className = 'hint';
    found.textContent = said ? (items.length ? items.length + ' ' + form.dataset.found : form.dataset.nothing) : '';
    if (!items.length) return;
    const exact = items.filter((one) => one.exact);
    for (const one of items) {
      places.append(choice(one.kind + ':' + one.id, one.name, one.within.join(' '), exact.length === 1 && one.exact));
    }
    places.append(choice('words', form.dataset.asSaid, '', false));
  }
  async function look() {
    const said = place.value.trim();
    const mine = ++asked;
    if (!said) { show([], ''); return; }
    try {
      const answer = await fetch('/v1/places?limit=6&q=' + encodeURIComponent(said.slice(0, 64)));
      if (answer.ok && mine === asked) show((await answer.json()).items, said);
    } catch { /* no connection: the server asks when the form is sent */ }
  }
  place.addEventListener('input', () => {
    clearTimeout(pause);
    pause = setTimeout(look, 120);
  });
  place.addEventListener('keydown', (event) => {
    const first = places.querySelector('input');
    if (event.key !== 'ArrowDown' || event.isComposing || places.hidden || !first) return;
    event.preventDefault();
    (places.querySelector('input:checked') || first).focus();
    (places.querySelector('input:checked') || first).checked = true;
  });

  const wrong = form.querySelector('[aria-invalid]') || places.querySelector('input');
  if (wrong && !wrong.closest('[hidden]')) wrong.focus();
})();
