// Photos of what was done: taken or chosen on the phone, made smaller here, uploaded one by one while the words are
// still being written. One that failed says why and can be tried again.
import { fresh } from './page.js';
import { NoLine, upload } from './uploading.js';

const MOST = 9;
const LONGEST = 1600; // pixels
const PREVIEW = 240;
const chosen = new WeakMap(); // form -> photos {key, blob, preview, attachment, at, state, failed}
let line = Promise.resolve(); // one after the other

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

class Chooser {
  constructor(form, box) {
    this.form = form;
    this.words = box.dataset;
    this.list = box.querySelector('ul');
    this.told = box.querySelector('[role=status]');
    this.add = box.querySelector('button');
    const input = box.querySelector('input');
    chosen.set(form, []);
    box.hidden = false;
    this.add.addEventListener('click', () => input.click());
    input.addEventListener('change', () => {
      const files = [...input.files];
      input.value = '';
      this.take(files);
    });
    addEventListener('online', () => this.photos.filter((one) => one.failed).forEach((one) => this.send(one)));
  }

  get photos() { return chosen.get(this.form) || []; }

  async take(files) {
    const room = MOST - this.photos.length;
    this.told.textContent = files.length > room ? this.words.most : '';
    for (const file of files.slice(0, room)) {
      const photo = { key: fresh(), state: this.words.reading };
      this.photos.push(photo);
      this.show();
      try {
        await shrink(photo, file); // one after the other: decoding a dozen at once is more than a phone holds
        this.show();
        this.send(photo);
      } catch {
        this.drop(photo);
        this.told.textContent = this.words.bad;
      }
    }
  }

  send(photo) {
    photo.failed = false;
    this.tell(photo, this.words.waits);
    photo.sending = line.then(async () => {
      if (!this.photos.includes(photo)) return;
      try {
        await upload(photo, (percent) => this.tell(photo, this.words.uploading.replace('%n%', percent)));
        this.tell(photo, this.words.done);
      } catch (error) {
        photo.failed = true;
        this.tell(photo, error instanceof NoLine ? this.words.noLine : this.words.refused);
      }
      this.show();
    });
    line = photo.sending;
  }

  drop(photo) {
    chosen.set(this.form, this.photos.filter((one) => one !== photo));
    this.show();
    if (!this.add.disabled) this.add.focus();
  }

  tell(photo, text) {
    photo.state = text;
    if (photo.shown) photo.shown.textContent = text;
  }

  button(text, kind, label, work) {
    const made = document.createElement('button');
    made.type = 'button';
    made.className = kind;
    made.textContent = text;
    made.setAttribute('aria-label', label);
    made.addEventListener('click', work);
    return made;
  }

  show() {
    this.list.hidden = this.photos.length === 0;
    this.list.replaceChildren(...this.photos.map((photo, at) => {
      const item = document.createElement('li');
      const image = document.createElement('img');
      const state = document.createElement('span');
      if (photo.preview) image.src = photo.preview;
      image.alt = this.words.photo.replace('%n%', at + 1);
      state.className = photo.failed ? 'state failed' : 'state';
      state.textContent = photo.state;
      photo.shown = state;
      item.append(image, state);
      item.append(this.button('×', 'remove', this.words.remove.replace('%n%', at + 1), () => this.drop(photo)));
      if (photo.failed) {
        const label = `${this.words.retry} ${at + 1}`;
        item.append(this.button(this.words.retry, 'again', label, () => { this.send(photo); this.show(); }));
      }
      return item;
    }));
    this.add.textContent = this.photos.length ? this.words.more : this.words.add;
    this.add.disabled = this.photos.length >= MOST;
  }
}

// The photos of `form` as they are once nothing of them is on its way.
export async function settledPhotos(form) {
  await Promise.all((chosen.get(form) || []).map((one) => one.sending));
  return photosOf(form);
}

// The photos of `form` as they are now, to be sent with it.
export function photosOf(form) {
  return (chosen.get(form) || []).filter((one) => one.blob)
    .map(({ key, blob, attachment, at }) => ({ key, blob, attachment, at }));
}

export function forgetPhotos(form) {
  if (chosen.has(form)) chosen.set(form, []);
}

export function startEvidence() {
  if (!window.createImageBitmap) return;
  const found = () => document.querySelectorAll('form.action .evidence').forEach((box) => {
    const form = box.closest('form');
    if (!chosen.has(form)) new Chooser(form, box);
  });
  found();
  document.addEventListener('board', found);
}
