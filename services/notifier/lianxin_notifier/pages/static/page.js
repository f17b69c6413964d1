// What the workbench's scripts share: the page's own words, looking again, and ids.
export const body = document.body;
export const said = body.dataset;
export const person = said.person || null;

export function words(id) {
  return document.getElementById(id)?.dataset || {};
}

// The line of a list that has the focus keeps it: asked at this moment, for keys go on while a look is fetched.
function putInPlace(board) {
  const line = document.activeElement?.closest?.('[data-id]')?.dataset.id;
  const part = document.activeElement?.matches?.('input') ? 'input' : 'a';
  document.getElementById('board').replaceWith(board);
  if (line) document.querySelector(`[data-id="${line}"] ${part}`)?.focus();
}

// Puts the board of `address` in place of this one's; what listens to `board` sees the new one.
export async function again(address = location.href) {
  const answer = await fetch(address, { headers: { Accept: 'text/html' } });
  if (!answer.ok || answer.redirected) { location.reload(); return; }
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const board = page.getElementById('board');
  if (board) putInPlace(board);
  document.title = page.title;
  delete said.keptAt;
  if (page.body.dataset.csrf) said.csrf = page.body.dataset.csrf;
  document.dispatchEvent(new Event('board'));
}

// A random UUID; `crypto.randomUUID` is there on https alone.
export function fresh() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

export const inEnglish = () => location.search.includes('lang=en');
export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
