// Printing; and at a kiosk, back to an empty page after a while, which whoever needs longer can put off.
'use strict';
(() => {
  const SECONDS = 60;
  const print = document.getElementById('print');
  print.hidden = false;
  print.addEventListener('click', () => window.print());
  const told = document.getElementById('left');
  if (!told) return;
  const longer = document.getElementById('longer');
  const home = () => location.replace(told.dataset.home); // and nothing to go back to
  let left = SECONDS;
  longer.hidden = false;
  longer.addEventListener('click', () => { left = SECONDS; });
  document.getElementById('done').addEventListener('click', (event) => { event.preventDefault(); home(); });
  setInterval(() => {
    left -= 1;
    // Every ten seconds and the last ones: a screen reader would speak of nothing else.
    if (left % 10 === 0 || left < 10) told.textContent = told.dataset.left.replace('{seconds}', left);
    if (left <= 0) home();
  }, 1000);
  told.textContent = told.dataset.left.replace('{seconds}', left);
})();
