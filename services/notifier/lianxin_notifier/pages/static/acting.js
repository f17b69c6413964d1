// Actions of a case: each shows at once and can be taken back for five seconds before it is sent.
import { forgetPhotos, photosOf, settledPhotos } from './evidence.js';
import { again, fresh, person, said, words } from './page.js';
import { give, put, remove } from './queue.js';

const UNDO_S = 5;
const pending = () => document.getElementById('pending');
let waiting = null;

function show(text, kind = '') {
  pending().className = `message ${kind}`;
  pending().textContent = text;
}

function open(form, on) {
  for (const part of form.elements) part.disabled = !on;
  form.removeAttribute('aria-busy');
  if (!on) form.setAttribute('aria-busy', 'true');
}

// By attribute: a field of the form is named "action" and hides the property.
const addressOf = (form) => form.getAttribute('action');

function actionOf(form) {
  const fields = [...new FormData(form)].filter(([name, value]) => name !== 'csrf' && typeof value === 'string');
  return {
    key: form.querySelector('[name=key]').value,
    person,
    case: said.case,
    address: addressOf(form),
    title: form.dataset.title,
    about: document.querySelector('#board h1')?.textContent || '',
    fields,
    photos: photosOf(form),
    at: Date.now(),
    state: 'undo',
  };
}

async function go(form, action) {
  waiting = null;
  show(said.sending);
  let became;
  action.photos = await settledPhotos(form);
  try { became = await give(action); } catch { became = { status: 'waiting' }; }
  // What was refused is decided and what waits is kept; the next try is another command.
  form.querySelector('[name=key]').value = fresh();
  if (became.status === 'refused') {
    await remove(action.key);
    open(form, true);
    show(`${action.title}：${became.text || words('outbox').photo}`, 'bad');
    return;
  }
  if (became.status === 'waiting') {
    open(form, true);
    form.reset();
    forgetPhotos(form);
    document.dispatchEvent(new Event('board'));
    show(became.text || said.waiting);
    return;
  }
  history.replaceState(null, '', became.page);
  await again(became.page);
  show('');
  document.getElementById('answer')?.scrollIntoView({ block: 'nearest' });
}

async function begin(form) {
  const action = actionOf(form);
  const title = action.title;
  open(form, false);
  let left = UNDO_S;
  const told = document.createElement('span');
  const undo = document.createElement('button');
  undo.type = 'button';
  undo.className = 'second';
  undo.textContent = said.undo;
  show('');
  pending().append(told, undo);
  const tell = () => { told.textContent = said.sendingIn.replace('%what%', title).replace('%n%', String(left)); };
  tell();
  const timer = setInterval(() => {
    left -= 1;
    if (left > 0) { tell(); return; }
    clearInterval(timer);
    go(form, action);
  }, 1000);
  waiting = { action, timer };
  undo.addEventListener('click', () => {
    clearInterval(timer);
    waiting = null;
    remove(action.key);
    open(form, true);
    show(said.undone);
  });
  undo.focus();
  await put(action); // whoever leaves within the five seconds has not taken it back
}

export function startActing() {
  document.addEventListener('submit', (event) => {
    const form = event.target.closest('form.action');
    if (!form) return;
    event.preventDefault();
    if (!waiting) begin(form);
  });
  // The next page sends what was left behind; this one tries, too. Under one key that is one action.
  addEventListener('pagehide', () => {
    if (!waiting) return;
    const { action, timer } = waiting;
    clearInterval(timer);
    waiting = null;
    if (action.photos.length) return;
    const fields = new URLSearchParams(action.fields);
    fields.set('csrf', said.csrf);
    fetch(action.address, { method: 'POST', body: fields, headers: { Accept: 'application/json' }, keepalive: true })
      .catch(() => { /* no line: it is kept */ });
  });
  if (said.keptAt) { // a page of before: its forms' keys may have been used
    document.querySelectorAll('form.action [name=key]').forEach((one) => { one.value = fresh(); });
  }
}
