// What a script adds: lists that keep themselves current, keys on a desk, and actions that show at once and can
// be taken back for five seconds before they are sent. Everything works without it, too.
'use strict';
(() => {
  const body = document.body;
  const said = body.dataset;
  const UNDO_S = 5;

  async function again(address) {
    const answer = await fetch(address, { headers: { Accept: 'text/html' } });
    if (!answer.ok || answer.redirected) { location.reload(); return; }
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const board = page.getElementById('board');
    if (board) document.getElementById('board').replaceWith(board);
    document.title = page.title;
  }

  // -- the list, live
  if (said.page === 'inbox') {
    const live = document.getElementById('live');
    let last = said.number;
    let waiting = null;
    const source = new EventSource(`/v1/alerts/stream?last_event_id=${last}`);
    source.addEventListener('ready', () => { live.textContent = ''; });
    source.addEventListener('alert', (event) => {
      last = event.lastEventId;
      clearTimeout(waiting);
      // The projection is saved just before the alert is told: one look shows it, several alerts need one look.
      waiting = setTimeout(async () => {
        const chosen = document.activeElement?.closest?.('[data-id]')?.dataset.id;
        try { await again(location.href); } catch { return; }
        live.textContent = said.arrived;
        setTimeout(() => { if (live.textContent === said.arrived) live.textContent = ''; }, 5000);
        if (chosen) document.querySelector(`[data-id="${chosen}"] a`)?.focus();
      }, 30);
    });
    source.addEventListener('error', () => { live.textContent = said.lost; });
  }

  // -- keys
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest('input, textarea, select')) return;
    const links = [...document.querySelectorAll('#lines a')];
    const now = links.indexOf(document.activeElement);
    if (event.key === 'j' && links.length) links[Math.min(now + 1, links.length - 1)].focus();
    else if (event.key === 'k' && links.length) links[Math.max(now - 1, 0)].focus();
    else if (event.key === 'u') document.getElementById('back')?.click();
    else if (event.key === '?') {
      const keys = document.getElementById('keys');
      if (keys) { keys.style.display = 'block'; keys.open = !keys.open; keys.querySelector('summary').focus(); }
    } else return;
    event.preventDefault();
  });

  // -- actions
  if (said.page !== 'case') return;
  const pending = document.getElementById('pending');
  let waiting = null;

  function show(text, kind) {
    pending.className = `message ${kind}`;
    pending.textContent = text;
  }

  // By attribute: a field of the form is named "action" and hides the property.
  function send(form, fields, keepalive) {
    return fetch(form.getAttribute('action'), { method: 'POST', body: fields, headers: { Accept: 'application/json' }, keepalive });
  }

  // A random UUID; `crypto.randomUUID` is there on https alone.
  function fresh() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }

  async function outcome(command) {
    const address = `/inbox/commands/${command}${location.search.includes('lang=en') ? '?lang=en' : ''}`;
    for (let tries = 0; tries < 40; tries += 1) {
      const answer = await fetch(address, { headers: { Accept: 'application/json' } });
      if (answer.ok) {
        const told = await answer.json();
        if (told.status !== 'pending' || tries === 39) return told;
      }
      await new Promise((resolve) => { setTimeout(resolve, 150); });
    }
    return null;
  }

  async function go(form, fields, title) {
    waiting = null;
    show(said.sending, '');
    let problem = said.failed;
    try {
      const answer = await send(form, fields, false);
      const told = await answer.json();
      if (answer.ok) {
        const became = await outcome(told.command_id);
        if (became?.status === 'refused') {
          show(`${title}：${became.text}`, 'bad');
          open(form, true);
          // What was refused is decided; the next try is another command.
          form.querySelector('[name=key]').value = fresh();
          return;
        }
        history.replaceState(null, '', told.page);
        await again(told.page);
        show('', '');
        document.getElementById('answer')?.scrollIntoView({ block: 'nearest' });
        return;
      }
      if (told.shown) problem = told.shown;
    } catch { /* no line: what was typed stays in the form */ }
    show(problem, 'bad');
    open(form, true);
  }

  function open(form, on) {
    for (const part of form.elements) part.disabled = !on;
    form.removeAttribute('aria-busy');
    if (!on) form.setAttribute('aria-busy', 'true');
  }

  document.addEventListener('submit', (event) => {
    const form = event.target.closest('form.action');
    if (!form) return;
    event.preventDefault();
    if (waiting) return;
    const fields = new URLSearchParams(new FormData(form));
    const title = form.dataset.title;
    open(form, false);
    let left = UNDO_S;
    const words = document.createElement('span');
    const undo = document.createElement('button');
    undo.type = 'button';
    undo.className = 'second';
    undo.textContent = said.undo;
    show('', '');
    pending.append(words, undo);
    const tell = () => { words.textContent = said.sendingIn.replace('%what%', title).replace('%n%', String(left)); };
    tell();
    const timer = setInterval(() => {
      left -= 1;
      if (left > 0) { tell(); return; }
      clearInterval(timer);
      go(form, fields, title);
    }, 1000);
    waiting = { form, fields, timer };
    undo.addEventListener('click', () => {
      clearInterval(timer);
      waiting = null;
      open(form, true);
      show(said.undone, '');
    });
    undo.focus();
  });

  // Whoever leaves within the five seconds has not taken it back.
  addEventListener('pagehide', () => {
    if (!waiting) return;
    clearInterval(waiting.timer);
    send(waiting.form, waiting.fields, true);
    waiting = null;
  });
})();
