// One photo to intake, by a permit that the notifier gives. Each photo has a key of its own, so that however often
// it is sent it is kept once.
const FRESH_MS = 12 * 3600 * 1000; // intake drops what nobody names within a day
const PATIENCE_MS = 90000;
let permit = null; // {permit, address, until}

// No line, or nobody there now: worth another try.
export class NoLine extends Error {}
// Refused: another try would end the same way. `code` says why.
export class Refused extends Error {
  constructor(code) { super(code); this.code = code; }
}

async function allowed() {
  if (permit && Date.now() < permit.until * 1000 - 60000) return permit;
  let answer;
  try {
    answer = await fetch('/inbox/permit', { headers: { Accept: 'application/json' } });
  } catch { throw new NoLine('permit'); }
  if (answer.status >= 500 || answer.status === 429) throw new NoLine('permit');
  if (!answer.ok) throw new Refused(answer.status === 401 ? 'signed_out' : 'no_permit');
  permit = await answer.json();
  return permit;
}

// Not fetch: it tells no progress.
function post(photo, by, progress) {
  return new Promise((resolve, reject) => {
    const asked = new XMLHttpRequest();
    asked.open('POST', by.address);
    asked.timeout = PATIENCE_MS;
    asked.setRequestHeader('Content-Type', 'image/jpeg');
    asked.setRequestHeader('Idempotency-Key', photo.key);
    asked.setRequestHeader('Lianxin-Upload-Permit', by.permit);
    asked.upload.onprogress = (event) => { if (event.total) progress(Math.floor(100 * event.loaded / event.total)); };
    asked.onload = () => resolve(asked);
    asked.onerror = asked.ontimeout = asked.onabort = () => reject(new NoLine('upload'));
    asked.send(photo.blob);
  });
}

// Returns the photo's id at intake. Throws NoLine or Refused.
export async function upload(photo, progress = () => {}) {
  if (photo.attachment && Date.now() - photo.at < FRESH_MS) return photo.attachment;
  progress(0);
  let answer = await post(photo, await allowed(), progress);
  if (answer.status === 403) { // the permit ran out on the way
    permit = null;
    answer = await post(photo, await allowed(), progress);
  }
  if (answer.status >= 500 || answer.status === 429) throw new NoLine(String(answer.status));
  let told = {};
  try { told = JSON.parse(answer.responseText); } catch { /* no body of ours: the status says enough */ }
  if (answer.status !== 201) throw new Refused(told.code || String(answer.status));
  photo.attachment = told.id;
  photo.at = Date.now();
  return photo.attachment;
}
