// Photos of an opinion: made smaller here, kept on this device until the opinion is taken in, and uploaded one by one
// as soon as there is a line. Each has a key of its own, so that however often it is sent it is kept once.
'use strict';
const lianxinPhotos = (() => {
  const MOST = 9;
  const LONGEST = 1600; // pixels
  const PREVIEW = 240;
  const FRESH_MS = 3600 * 1000; // the server drops what nobody names within a day
  const form = document.getElementById('opinion');
  const input = document.getElementById('photos');
  const add = document.getElementById('add-photo');
  const list = document.getElementById('photo-list');
  const told = document.getElementById('photo-told');
  const station = form.dataset.station;
  const words = list.dataset;
  let photos = []; // {key, station, order, blob, preview, attachment, at, ready, state}
  let line = Promise.resolve(); // uploads, one after the other

  const shelf = new Promise((resolve) => {
    let asked;
    try { asked = indexedDB.open('lianxin-photos', 1); } catch { resolve(null); return; }
    asked.onupgradeneeded = () => asked.result.createObjectStore('photos', { keyPath: 'key' });
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = asked.onblocked = () => resolve(null); // private browsing: this page's memory has to do
  });
  async function onShelf(mode, work) {
    const open = await shelf;
    if (!open) return undefined;
    return new Promise((resolve) => {
      const turn = open.transaction('photos', mode);
      const asked = work(turn.objectStore('photos'));
      turn.oncomplete = () => resolve(asked && asked.result);
      turn.onerror = turn.onabort = () => resolve(undefined); // full: memory has to do
    });
  }
  function keep(photo) {
    const { key, order, blob, preview, attachment, at } = photo;
    return onShelf('readwrite', (store) => store.put({ key, station, order, blob, preview, attachment, at }));
  }

  function drawn(bitmap, longest) {
    const scale = Math.min(1, longest / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const pen = canvas.getContext('2d');
    pen.fillStyle = '#fff';
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return canvas;
  }
  async function shrink(photo, file) {
    const bitmap = await createImageBitmap(file);
    photo.preview = drawn(bitmap, PREVIEW).toDataURL('image/jpeg', 0.7);
    const canvas = drawn(bitmap, LONGEST);
    bitmap.close();
    photo.blob = await new Promise((resolve) => { canvas.toBlob(resolve, 'image/jpeg', 0.82); });
    if (!photo.blob) throw new Error('the canvas gave nothing');
  }

  function show() {
    form.elements.photo_keys.value = photos.map((photo) => photo.key).join(' ');
    list.hidden = photos.length === 0;
    list.replaceChildren(...photos.map((photo, at) => {
      const item = document.createElement('li');
      const image = document.createElement('img');
      const state = document.createElement('span');
      const remove = document.createElement('button');
      if (photo.preview) image.src = photo.preview;
      image.alt = words.photo.replace('{n}', at + 1);
      state.className = 'state';
      state.textContent = photo.state || '';
      photo.shown = state;
      remove.type = 'button';
      remove.className = 'remove';
      remove.textContent = '×';
      remove.setAttribute('aria-label', words.remove.replace('{n}', at + 1));
      remove.addEventListener('click', () => drop(photo));
      item.append(image, state, remove);
      return item;
    }));
    add.querySelector('span').textContent = photos.length ? words.more : words.add;
    add.disabled = photos.length >= MOST;
  }
  function state(photo, text) {
    photo.state = text;
    if (photo.shown) photo.shown.textContent = text;
  }
  // What waits to be sent is not changed any more: a changed opinion under the same key is refused.
  const locked = () => document.getElementById('send').disabled;
  function drop(photo) {
    if (locked()) return;
    photos = photos.filter((one) => one !== photo);
    onShelf('readwrite', (store) => store.delete(photo.key));
    told.textContent = '';
    show();
    if (!add.disabled) add.focus();
  }

  async function choose(files) {
    told.textContent = files.length > MOST - photos.length ? words.most : '';
    for (const file of files.slice(0, MOST - photos.length)) {
      const photo = { key: crypto.randomUUID(), order: Date.now() + photos.length, state: words.reading };
      photos.push(photo);
      photo.ready = shrink(photo, file).then(() => keep(photo)).then(() => {
        show();
        later(photo);
      }, () => {
        photos = photos.filter((one) => one !== photo);
        photo.bad = true;
        told.textContent = words.bad;
        show();
      });
      show();
      await photo.ready; // one after the other: decoding a dozen at once is more than a phone holds
    }
  }

  // The answer to one upload; rejects where there is no line. Not fetch: it tells no progress.
  function post(photo, token) {
    return new Promise((resolve, reject) => {
      const asked = new XMLHttpRequest();
      const language = document.documentElement.lang.startsWith('en') ? '&lang=en' : '';
      asked.open('POST', '/v1/attachments?station=' + encodeURIComponent(station) + language);
      asked.timeout = 60000;
      asked.setRequestHeader('Accept', 'application/json');
      asked.setRequestHeader('Content-Type', 'image/jpeg');
      asked.setRequestHeader('Idempotency-Key', photo.key);
      asked.setRequestHeader('Lianxin-Page-Token', token);
      asked.upload.onprogress = (event) => {
        state(photo, words.uploading.replace('{percent}', Math.floor(100 * event.loaded / event.total)));
      };
      asked.onload = () => resolve(new Response(asked.responseText, {
        status: asked.status, headers: { 'Retry-After': asked.getResponseHeader('Retry-After') || '5' },
      }));
      asked.onerror = asked.ontimeout = asked.onabort = () => reject(new Error('no line'));
      asked.send(photo.blob);
    });
  }
  // Returns the refusal, if there is one. Rejects where there is no line.
  async function upload(photo) {
    if (photo.attachment && Date.now() - photo.at < FRESH_MS) return null;
    state(photo, words.uploading.replace('{percent}', 0));
    try {
      let answer = await post(photo, form.elements.token.value);
      if (answer.status === 403) {
        const body = await answer.clone().json();
        if (body.page_token) {
          form.elements.token.value = body.page_token;
          answer = await post(photo, body.page_token);
        }
      }
      if (answer.status !== 201) {
        state(photo, words.waits);
        return answer;
      }
      photo.attachment = (await answer.json()).id;
    } catch (error) {
      state(photo, words.waits);
      throw error;
    }
    photo.at = Date.now();
    await keep(photo);
    state(photo, words.done);
    return null;
  }
  function inLine(photo) {
    const turn = line.then(() => upload(photo));
    line = turn.catch(() => null);
    return turn;
  }
  function later(photo) {
    inLine(photo).catch(() => { /* no line: tried again when it is back, and when the opinion is sent */ });
  }

  const restored = onShelf('readonly', (store) => store.getAll()).then((found) => {
    const mine = (found || []).filter((one) => one.station === station).sort((a, b) => a.order - b.order);
    photos = [...mine.map((one) => ({ ...one, state: one.attachment ? words.done : words.waits })), ...photos];
    show();
  });

  if (window.createImageBitmap && window.crypto.randomUUID) {
    input.removeAttribute('name'); // a script sends them, the form must not
    input.hidden = document.getElementById('photos-label').hidden = true;
    add.hidden = false;
    add.addEventListener('click', () => { if (!locked()) input.click(); });
    input.addEventListener('change', () => {
      const files = [...input.files];
      input.value = '';
      choose(files);
    });
    window.addEventListener('online', () => photos.filter((one) => one.blob && !one.attachment).forEach(later));
  }

  return {
    // Has the photos of `waiting` (an opinion's fields) uploaded. Their ids, or the answer that refused one.
    // Rejects where there is no line.
    async sent(waiting) {
      await restored;
      const ids = (waiting.attachments || '').split(' ').filter(Boolean);
      for (const key of (waiting.photo_keys || '').split(' ').filter(Boolean)) {
        const photo = photos.find((one) => one.key === key);
        if (photo) await photo.ready;
        if (photo && photo.bad) return { refused: new Response(JSON.stringify({ shown: words.bad }), { status: 422 }) };
        if (!photo) continue;
        const refused = await inLine(photo);
        if (refused) return { refused };
        ids.push(photo.attachment);
      }
      return { ids: ids.join(' ') };
    },
    // Forgets the photos of this station's page.
    async clear() {
      await restored;
      const gone = photos;
      photos = [];
      show();
      await onShelf('readwrite', (store) => { gone.forEach((one) => store.delete(one.key)); });
    },
  };
})();
