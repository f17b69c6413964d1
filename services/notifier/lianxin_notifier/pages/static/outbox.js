// Shows what is on its way: what waits for a line, and what was refused once it was sent.
import { redraw } from './live.js';
import { said, words } from './page.js';
import { flush, kept, remove } from './queue.js';

function line(action, told) {
  const item = document.createElement('li');
  const what = document.createElement('p');
  const close = document.createElement('button');
  const refused = action.state === 'refused';
  item.className = refused ? 'message bad' : 'message';
  const state = refused ? action.text || told.photo : told[action.state];
  const link = document.createElement('a');
  link.href = action.address;
  link.textContent = action.about;
  what.append(`${action.title} · `, link, `：${state}`);
  close.type = 'button';
  close.className = 'plain';
  close.textContent = refused ? told.dismiss : told.discard;
  close.setAttribute('aria-label', `${close.textContent}: ${action.title} · ${action.about}`);
  close.addEventListener('click', () => remove(action.key));
  item.append(what);
  if (!action.command || refused) item.append(close); // what is with the router can't be taken back
  return item;
}

export function startOutbox() {
  const box = document.getElementById('outbox');
  if (!box) return;
  const told = words('outbox');
  const list = box.querySelector('ol');
  const show = async () => {
    const there = (await kept()).filter((one) => one.state !== 'undo');
    box.hidden = there.length === 0;
    list.replaceChildren(...there.map((action) => line(action, told)));
    box.querySelector('button.now').hidden = !there.some((one) => one.state === 'waiting');
    document.querySelectorAll('#lines [data-id]').forEach((one) => {
      const waits = there.some((action) => action.case === one.dataset.id && action.state !== 'refused');
      let mark = one.querySelector('.waits');
      if (!waits) { mark?.remove(); return; }
      if (mark) return;
      mark = document.createElement('span');
      mark.className = 'waits';
      mark.textContent = told.mark;
      one.querySelector('a').append(mark);
    });
  };
  box.querySelector('button.now').addEventListener('click', () => flush());
  document.addEventListener('queue', show);
  document.addEventListener('board', show);
  document.addEventListener('delivered', (event) => {
    const decided = [...event.detail.values()].some((one) => one.status === 'applied' || one.status === 'refused');
    if (decided && said.keptAt) location.reload();
    else if (decided) redraw();
  });
  show();
}
