// While somebody types: the topic that the words speak for (to be taken or left), and similar opinions nearby with
// "me too". Both are only offers: where anything fails, the page is as it was without them.
import { CERTAIN_ENOUGH, indexed, topicOf } from './topic_words.js';

const form = document.getElementById('opinion');
const guess = document.getElementById('guess');
const nearby = document.getElementById('nearby');
const topic = form.elements.topic;
const PAUSE_MS = 500; // after the last key
const SHORTEST = 4; // characters that say something
let index = null;
let loading = null;
let timer = 0;
let guessed = '';
let asked = '';
let tellingOf = ''; // the guess that is on the page, so that a screen reader hears it once

async function json(address, options) {
  const answer = await fetch(address, {
    headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(8000), ...options,
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.shown || String(answer.status));
  return body;
}
function made(name, text, more) {
  return Object.assign(document.createElement(name), { textContent: text }, more);
}
async function ready() {
  loading = loading || json(guess.dataset.from).then((body) => { index = indexed(body.topics); });
  try { await loading; } catch { loading = null; } // asked for again at the next pause
}

async function look() {
  const text = form.elements.text.value.trim();
  if (text.length >= SHORTEST) await ready();
  const found = index && text.length >= SHORTEST ? topicOf(text, index) : null;
  guessed = found && found.certainty >= CERTAIN_ENOUGH ? found.code : '';
  offerTopic();
  await offerNearby();
}
function offerTopic() {
  const offered = guessed && guessed !== topic.value && !topic.value
    && [...topic.options].some((one) => one.value === guessed) ? guessed : '';
  if (offered === tellingOf) return;
  tellingOf = offered;
  guess.replaceChildren();
  if (!offered) return;
  const name = index.names.get(offered);
  const take = made('button', guess.dataset.take, { type: 'button', className: 'second' });
  take.addEventListener('click', () => {
    topic.value = offered;
    tellingOf = '';
    guess.replaceChildren(made('p', guess.dataset.taken.replace('{topic}', name)));
    form.elements.text.focus();
    form.dispatchEvent(new Event('input', { bubbles: true }));
  });
  guess.append(made('p', guess.dataset.like.replace('{topic}', name)), take);
}

async function offerNearby() {
  const code = topic.value || guessed;
  const address = new URL(nearby.dataset.from, location.href);
  address.searchParams.set('topic', code);
  if (form.elements.grid && form.elements.grid.value) address.searchParams.set('grid', form.elements.grid.value);
  for (const name of ['lat', 'lon']) { // to 100 m: an address ends in logs
    const value = form.elements[name].value;
    if (value) address.searchParams.set(name, Number(value).toFixed(3));
  }
  if (address.href === asked) return;
  asked = address.href;
  if (!code) { nearby.replaceChildren(); return; }
  let items = [];
  try { items = (await json(address)).items; } catch { asked = ''; } // the page goes on without it
  if (asked && asked !== address.href) return;
  nearby.replaceChildren();
  if (!items.length) return;
  nearby.append(made('p', nearby.dataset.title, { className: 'title' }));
  for (const item of items) nearby.append(row(item));
}
function row(item) {
  const line = made('div', '', { className: 'alike' });
  const button = made('button', nearby.dataset.too, { type: 'button', className: 'second' });
  button.addEventListener('click', async () => {
    button.disabled = true;
    let told = '';
    try {
      const body = new URLSearchParams({ opinion: item.opinion, token: item.token, supporter: supporter() });
      told = (await json(nearby.dataset.support, { method: 'POST', body })).shown;
      button.remove();
      form.dispatchEvent(new Event('supported'));
    } catch {
      told = nearby.dataset.failed;
      button.disabled = false;
    }
    line.querySelectorAll('.told').forEach((one) => one.remove());
    line.append(made('p', told, { className: 'told' }));
  });
  line.append(made('p', item.line));
  if (item.words) line.append(made('p', item.words, { className: 'words' }));
  line.append(button);
  return line;
}
// Made once on this phone; at a kiosk anew for each person.
function supporter() {
  if ('kiosk' in form.dataset) return form.elements.key.value;
  const name = 'lianxin.supporter';
  try {
    const known = localStorage.getItem(name) || crypto.randomUUID();
    localStorage.setItem(name, known);
    return known;
  } catch { return form.elements.key.value; } // storage is switched off: one for this page
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(look, PAUSE_MS);
}
form.elements.text.addEventListener('input', soon);
topic.addEventListener('change', soon);
form.addEventListener('moved', soon);
form.addEventListener('cleared', () => { tellingOf = guessed = asked = ''; guess.replaceChildren(); nearby.replaceChildren(); });
if (form.elements.text.value) soon();
