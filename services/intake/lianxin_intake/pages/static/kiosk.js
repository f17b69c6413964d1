// A device that many people use, one after the other: nothing of one is left for the next. What can't be sent waits
// in a queue that no page shows, and goes when the line is back.
const IDLE_S = 90, GRACE_S = 30, TRY_AGAIN_S = 30;
const form = document.getElementById('opinion');
const queueName = 'lianxin.kiosk.' + form.dataset.station;
const ask = document.getElementById('still-there');
const told = document.getElementById('still-left');
const reserveName = 'lianxin.kiosk.codes.' + form.dataset.station;
const LOW = 10; // pairs; below that more are fetched while there is a line
let inHand = null; // the pair under whose key the form goes
let idle = 0;
let kept = []; // where nothing can be stored
let sending = false;

function queue() {
  try { return JSON.parse(localStorage.getItem(queueName)) || kept; } catch { return kept; }
}
function keep(all) {
  kept = all;
  try { localStorage.setItem(queueName, JSON.stringify(all)); } catch { /* full or off: it is kept while this page is open */ }
  const waiting = document.getElementById('kiosk-waiting');
  waiting.textContent = all.length ? waiting.dataset.text.replace('{number}', all.length) : '';
}
// Keys with the code that belongs to each, fetched beforehand: who sends without a line gets one too. A pair leaves the
// reserve when its key is sent, whatever comes of it: no two people get the same.
function reserve() {
  try { return JSON.parse(localStorage.getItem(reserveName)) || []; } catch { return []; }
}
function setReserve(pairs) {
  try { localStorage.setItem(reserveName, JSON.stringify(pairs)); } catch { /* full or off: then there is no code without a line */ }
}
async function fillReserve() {
  if (reserve().length >= LOW) return;
  try {
    const answer = await fetch(new URL(form.action).pathname + '/codes', {
      method: 'POST', headers: { Accept: 'application/json' },
      body: new URLSearchParams({ token: form.elements.token.value }), signal: AbortSignal.timeout(20000),
    });
    const body = await answer.json();
    if (answer.status === 200) setReserve([...reserve(), ...body.codes]);
    else if (body.page_token) form.elements.token.value = body.page_token;
  } catch { /* no line: tried again below */ }
}
form.addEventListener('submit', () => {
  if (inHand && inHand[0] === form.elements.key.value) return; // the same once more, mended
  const [pair, ...others] = reserve();
  inHand = pair || null;
  if (!pair) return;
  setReserve(others);
  form.elements.key.value = pair[0];
}, { capture: true });
function showCode(code) {
  document.getElementById('kept-big').textContent = code;
  document.getElementById('kept-code').hidden = !code;
  form.hidden = Boolean(code);
}
document.getElementById('kept-print').addEventListener('click', () => window.print());
document.getElementById('kept-done').addEventListener('click', () => anew());
function clear() {
  inHand = null;
  showCode('');
  for (const input of form.elements) {
    if (input.name === 'token' || input.type === 'submit' || input.type === 'button') continue;
    if (input.name === 'key') input.value = crypto.randomUUID ? crypto.randomUUID() : input.value;
    else input.value = '';
  }
  form.querySelectorAll('details').forEach((one) => { one.open = false; });
  form.querySelectorAll('.mistake').forEach((one) => one.remove());
  form.querySelectorAll('[aria-invalid]').forEach((one) => one.removeAttribute('aria-invalid'));
  form.dispatchEvent(new Event('cleared'));
}
// For the next person: empty at once, and a page of its own where it can be had.
async function anew() {
  idle = 0;
  ask.hidden = true;
  clear();
  document.getElementById('message').textContent = '';
  try {
    const answer = await fetch(form.dataset.kiosk, { signal: AbortSignal.timeout(5000) });
    if (answer.ok) location.replace(form.dataset.kiosk);
  } catch { /* no line and no kept page: this one, emptied, serves too */ }
  form.elements.text.focus();
}
function touched() {
  idle = 0;
  ask.hidden = true;
}
function used() {
  const changed = [...form.elements].some((one) => one.id && one.type !== 'button' && one.value && one.type !== 'submit');
  return changed || location.search !== new URL(form.dataset.kiosk, location.href).search || document.querySelector('.told, #message:not(:empty), #kept-code:not([hidden])');
}
setInterval(() => {
  if (!used()) { idle = 0; return; }
  idle += 1;
  if (idle >= IDLE_S + GRACE_S) { anew(); return; }
  if (idle >= IDLE_S) {
    const left = IDLE_S + GRACE_S - idle;
    if (ask.hidden || left % 10 === 0) told.textContent = told.dataset.text.replace('{seconds}', left);
    if (ask.hidden) { ask.hidden = false; document.getElementById('stay').focus(); }
  }
}, 1000);
for (const what of ['pointerdown', 'keydown', 'input']) document.addEventListener(what, touched, { passive: true });
document.getElementById('stay').addEventListener('click', touched);
document.getElementById('start-anew').addEventListener('click', anew);

// What could not be sent just now is taken over from the page.
form.addEventListener('unsent', (event) => {
  event.preventDefault();
  keep([...queue(), event.detail]);
  const code = inHand && inHand[0] === event.detail.key ? inHand[1] : '';
  clear();
  if (code) {
    document.getElementById('message').textContent = '';
    showCode(code);
    document.getElementById('kept-print').focus();
    return;
  }
  const message = document.getElementById('message');
  message.className = 'message good';
  message.textContent = form.dataset.queued;
});
form.addEventListener('accepted', (event) => {
  event.preventDefault();
  clear();
  location.replace(event.detail.page);
});

async function post(one) {
  const answer = await fetch(form.action, {
    method: 'POST', headers: { Accept: 'application/json' }, body: new URLSearchParams(one), signal: AbortSignal.timeout(20000),
  });
  return [answer.status, await answer.json()];
}
// Whether the first of the queue is done with, or at least has to be left until a person looks at it.
async function deliverOne(one) {
  const [status, body] = await post(one);
  if (status === 202 || status === 409) return true; // 409: taken in before under this key
  if (status === 403 && body.page_token) { one.token = body.page_token; return deliverOne(one); }
  if (status !== 422) return false;
  // A slip in a side field that nobody is there to mend must not keep what was said.
  const wrong = (body.errors || []).map((error) => error.field.replace(/^contact\./, '')).filter((name) => name !== 'text' && one[name]);
  wrong.forEach((name) => { delete one[name]; });
  return wrong.length ? deliverOne(one) : false;
}
async function deliver() {
  if (sending) return;
  sending = true;
  try {
    for (const one of queue()) {
      if (await deliverOne(one)) keep(queue().filter((other) => other.key !== one.key));
    }
  } catch { /* no line yet: tried again below */ }
  sending = false;
}
async function withLine() {
  await deliver();
  await fillReserve();
}
window.addEventListener('online', withLine);
setInterval(withLine, TRY_AGAIN_S * 1000);
keep(queue());
withLine();
