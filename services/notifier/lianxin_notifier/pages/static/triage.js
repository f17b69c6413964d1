// Choosing several in triage: how many are chosen, and what became of each that was sent.
import { inEnglish, pause, said } from './page.js';

export function startTriage() {
  const boxes = () => [...document.querySelectorAll('#lines input[type=checkbox]')];
  const count = document.getElementById('chosen');
  const send = document.getElementById('send');
  const tell = () => {
    const chosen = boxes().filter((one) => one.checked).length;
    if (count) count.textContent = said.chosen.replace('%n%', chosen);
    if (send) send.disabled = chosen === 0;
  };
  document.addEventListener('change', tell);
  const all = document.getElementById('all');
  if (all) {
    all.hidden = false;
    all.addEventListener('click', () => {
      const on = boxes().some((one) => !one.checked);
      boxes().forEach((one) => { one.checked = on; });
      tell();
    });
  }
  tell();
  // The page is made while some are not decided yet.
  document.querySelectorAll('#results [data-status=pending]').forEach(async (one) => {
    const address = `/inbox/commands/${one.dataset.command}${inEnglish() ? '?lang=en' : ''}`;
    for (let tries = 0; tries < 60; tries += 1) {
      await pause(500);
      try {
        const told = await (await fetch(address, { headers: { Accept: 'application/json' } })).json();
        if (told.status === 'pending') continue;
        one.dataset.status = told.status;
        one.className = `message ${told.status === 'applied' ? 'good' : 'bad'}`;
        one.querySelector('.became').textContent = told.text;
        return;
      } catch { /* no line: asked again */ }
    }
  });
}
