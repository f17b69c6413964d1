// The list and an open case, live: the stream of alerts says that something has come, one look shows it.
import { again, said } from './page.js';

// The projection is saved just before the alert is told: one look shows it, several alerts need one look.
const SETTLE_MS = 30;

export function startList() {
  const live = document.getElementById('live');
  let waiting = null;
  const source = new EventSource(`/v1/alerts/stream?last_event_id=${said.number}`);
  const look = async () => {
    try { await again(); } catch { return; }
    live.textContent = said.arrived;
    setTimeout(() => { if (live.textContent === said.arrived) live.textContent = ''; }, 5000);
  };
  source.addEventListener('ready', () => {
    live.textContent = '';
    if (said.keptAt) look(); // the line is back: what was kept is old
  });
  source.addEventListener('alert', () => {
    clearTimeout(waiting);
    waiting = setTimeout(look, SETTLE_MS);
  });
  source.addEventListener('error', () => { live.textContent = said.lost; });
}

// Something on the page has changed: draws it anew. What is being written in a case stays: then it only says so.
export async function redraw() {
  const told = document.getElementById('changed');
  const tell = () => { if (told) told.hidden = false; };
  const busy = document.querySelector('form.action[aria-busy]')
    || document.querySelector('form.action .evidence li')
    || [...document.querySelectorAll('form.action textarea')].some((one) => one.value !== '');
  if (busy) { tell(); return; }
  try { await again(); } catch { tell(); }
}

// A case that changes while it is read.
export function startCase() {
  const source = new EventSource('/v1/alerts/stream');
  let waiting = null;
  source.addEventListener('alert', (event) => {
    if (JSON.parse(event.data).id !== said.case) return;
    clearTimeout(waiting);
    waiting = setTimeout(redraw, SETTLE_MS);
  });
}
