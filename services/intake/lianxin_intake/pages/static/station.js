// A draft outlives a reload and a lost connection; what was sent waits on this device until it is taken in, once:
// its key was made with it and stays with it.
'use strict';
(() => {
  const form = document.getElementById('opinion');
  const draftName = 'lianxin.draft.' + form.dataset.station;
  const outboxName = 'lianxin.outbox.' + form.dataset.station;
  // The contact is in no draft: whoever opens the page on this device next does not see it.
  const drafted = ['text', 'address', 'topic', 'grid', 'lat', 'lon', 'key'];
  const lasting = !('kiosk' in form.dataset); // a device of many people keeps nothing of one (kiosk.js)
  const announce = (name, detail) => form.dispatchEvent(new CustomEvent(name, { detail, cancelable: true }));
  const message = document.getElementById('message');
  // At a kiosk there are none: a device that many people use shows nobody's pictures.
  const photos = typeof lianxinPhotos === 'undefined' ? { sent: async () => ({ ids: '' }), clear: async () => {} } : lianxinPhotos;
  const send = document.getElementById('send');
  let busy = false;
  let again = 0;

  function stored(name) {
    if (!lasting) return null;
    try { return JSON.parse(localStorage.getItem(name)); } catch { return null; }
  }
  function store(name, value) {
    if (!lasting) return false;
    try {
      if (value === null) localStorage.removeItem(name);
      else localStorage.setItem(name, JSON.stringify(value));
      return true;
    } catch { return false; } // storage is full or switched off: the form itself still holds everything
  }
  function tell(text, kind) {
    message.className = 'message' + (kind ? ' ' + kind : '');
    message.textContent = text;
  }
  function fields(names) {
    const all = Object.fromEntries(new FormData(form));
    return names ? Object.fromEntries(names.map((name) => [name, all[name] || ''])) : all;
  }
  function fill(values) {
    for (const [name, value] of Object.entries(values)) {
      if (!['token', 'photo_keys'].includes(name) && form.elements[name]) form.elements[name].value = value;
    }
  }
  function mistakes(errors) {
    form.querySelectorAll('.mistake').forEach((one) => one.remove());
    form.querySelectorAll('[aria-invalid]').forEach((one) => one.removeAttribute('aria-invalid'));
    let first = null;
    for (const error of errors) {
      const input = form.elements[error.field.replace(/^contact\./, '')];
      if (!input || !input.id) continue;
      input.setAttribute('aria-invalid', 'true');
      const told = document.createElement('p');
      told.className = 'mistake';
      told.textContent = error.shown || error.message;
      input.after(told);
      const folded = input.closest('details');
      if (folded) folded.open = true;
      first = first || input;
    }
    if (first) first.focus();
  }
  function later(seconds, text) {
    tell(text, '');
    clearTimeout(again);
    again = setTimeout(deliver, seconds * 1000);
  }

  async function deliver() {
    const waiting = stored(outboxName) || pending;
    if (!waiting || busy) return;
    busy = true;
    send.disabled = true;
    tell(form.dataset.sending, '');
    let answer = null;
    try {
      const sent = await photos.sent(waiting);
      answer = sent.refused || await fetch(form.action, {
        method: 'POST',
        headers: { Accept: 'application/json' },
        body: new URLSearchParams({ ...waiting, attachments: sent.ids }),
        signal: AbortSignal.timeout(20000),
      });
    } catch { /* no connection, or none that lasts: told below */ }
    busy = false;
    let body = null;
    if (answer) try { body = await answer.json(); } catch { answer = null; }
    if (answer && answer.status === 202) {
      pending = null;
      store(outboxName, null);
      store(draftName, null);
      await photos.clear();
      if (announce('accepted', body)) location.assign(body.page);
      return;
    }
    if (answer && answer.status === 403 && body.page_token) {
      waiting.token = body.page_token;
      form.elements.token.value = body.page_token;
      pending = waiting;
      store(outboxName, waiting);
      later(0, form.dataset.sending);
      return;
    }
    if (!answer || answer.status === 503 || answer.status === 429) {
      if (!announce('unsent', waiting)) {
        pending = null;
        send.disabled = false;
        return;
      }
      const wait = answer ? Number(answer.headers.get('Retry-After')) || 5 : 15;
      later(wait, answer ? form.dataset.busy : form.dataset.waiting);
      return;
    }
    // Refused: it is the resident's again.
    pending = null;
    store(outboxName, null);
    send.disabled = false;
    if (answer.status === 409) form.elements.key.value = crypto.randomUUID();
    tell(body.shown || body.detail || body.title, 'bad');
    mistakes(body.errors || []);
  }

  let pending = null; // what waits where nothing can be stored
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    pending = fields();
    store(outboxName, pending);
    deliver();
  });
  form.addEventListener('input', () => {
    if (store(draftName, fields(drafted))) document.getElementById('kept').textContent = form.dataset.kept;
  });
  window.addEventListener('online', deliver);

  const here = document.getElementById('here');
  if (navigator.geolocation) {
    here.hidden = false;
    here.addEventListener('click', () => {
      here.disabled = true;
      navigator.geolocation.getCurrentPosition((found) => {
        form.elements.lat.value = found.coords.latitude.toFixed(6);
        form.elements.lon.value = found.coords.longitude.toFixed(6);
        here.disabled = false;
        tell(form.dataset.found, 'good');
        announce('placed');
        store(draftName, fields(drafted));
      }, () => {
        here.disabled = false;
        tell(form.dataset.failed, 'bad');
      }, { enableHighAccuracy: true, timeout: 10000 });
    });
  }

  const waiting = stored(outboxName);
  const draft = stored(draftName);
  if (waiting) {
    fill(waiting);
    deliver();
  } else if (draft && !form.elements.text.value) {
    fill(draft);
  } else {
    form.elements.key.value = crypto.randomUUID ? crypto.randomUUID() : form.elements.key.value;
  }
})();
