// The map of grids: a tap says where, as the list above it does for whoever doesn't tap. It is drawn when it is
// asked for. The list, the tap and the phone's position never contradict each other: the last one speaks.
const form = document.getElementById('opinion');
const list = form.elements.grid;
const button = document.getElementById('map-open');
const box = document.getElementById('map');
const said = document.getElementById('map-said');
const SVG = 'http://www.w3.org/2000/svg';
let map = null;
let pin = null;

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
function named(id) {
  for (const path of box.querySelectorAll('path')) path.classList.toggle('chosen', path.dataset.id === id);
  const grid = map && map.grids.find((one) => one.id === id);
  said.textContent = grid ? box.dataset.chosen.replace('{name}', grid.name) : '';
}
function pinned() {
  const lat = Number(form.elements.lat.value), lon = Number(form.elements.lon.value);
  if (!pin) return;
  const [west, south, east, north] = map.bounds, [width, height] = map.size;
  const inside = form.elements.lat.value && lat >= south && lat <= north && lon >= west && lon <= east;
  pin.setAttribute('visibility', inside ? 'visible' : 'hidden');
  if (!inside) return;
  pin.setAttribute('cx', (lon - west) / (east - west) * width);
  pin.setAttribute('cy', (north - lat) / (north - south) * height);
}
function holding(x, y) {
  const point = box.firstChild.createSVGPoint();
  Object.assign(point, { x, y });
  const path = [...box.querySelectorAll('path')].find((one) => one.isPointInFill(point));
  return path ? path.dataset.id : '';
}
function tapped(event) {
  const svg = box.firstChild;
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const id = holding(at.x, at.y);
  if (!id) return;
  const [west, south, east, north] = map.bounds, [width, height] = map.size;
  form.elements.lon.value = (west + at.x / width * (east - west)).toFixed(6);
  form.elements.lat.value = (north - at.y / height * (north - south)).toFixed(6);
  list.value = id;
  named(id);
  pinned();
  form.dispatchEvent(new Event('input', { bubbles: true }));
  form.dispatchEvent(new Event('moved'));
}
// Chooses the grid that holds the pin; whether there is one.
function matched() {
  if (pin.getAttribute('visibility') !== 'visible') return false;
  list.value = holding(Number(pin.getAttribute('cx')), Number(pin.getAttribute('cy')));
  named(list.value);
  return list.value !== '';
}
function draw() {
  const svg = element('svg', { viewBox: '0 0 ' + map.size.join(' '), role: 'img', 'aria-label': box.dataset.label });
  for (const grid of map.grids) {
    const path = element('path', { d: 'M' + grid.ring.join(' ') + 'Z' });
    path.dataset.id = grid.id;
    svg.append(path);
  }
  const taken = [];
  for (const grid of map.grids) { // nearest first: where names would lie on each other, the farther one goes
    const short = grid.name.replace(/(社区|村)?(第.+网格)?$/, '') || grid.name;
    const half = short.length * 5.5, [x, y] = grid.at;
    if (taken.some(([a, b, c]) => Math.abs(a - x) < half + c && Math.abs(b - y) < 13)) continue;
    taken.push([x, y, half]);
    const label = element('text', { x: Math.min(Math.max(x, half), map.size[0] - half), y });
    label.textContent = short;
    svg.append(label);
  }
  pin = element('circle', { r: 6, visibility: 'hidden' });
  svg.append(pin);
  svg.addEventListener('click', tapped);
  box.replaceChildren(svg);
  pinned();
  if (list.value) named(list.value);
  else if (matched()) form.dispatchEvent(new Event('moved')); // the position was there before the map
}
async function open() {
  if (!box.hidden) {
    box.hidden = true;
    button.setAttribute('aria-expanded', 'false');
    return;
  }
  try {
    if (!map) {
      const answer = await fetch(box.dataset.from, { headers: { Accept: 'application/json' } });
      if (!answer.ok) throw new Error(String(answer.status));
      map = await answer.json();
    }
    box.hidden = false;
    button.setAttribute('aria-expanded', 'true');
    draw();
  } catch { said.textContent = box.dataset.failed; } // the list and words still say where
}
if (list) {
  list.addEventListener('change', () => {
    form.elements.lat.value = form.elements.lon.value = '';
    if (map) { named(list.value); pinned(); }
    form.dispatchEvent(new Event('moved'));
  });
  form.addEventListener('placed', () => {
    list.value = '';
    if (map && !box.hidden) {
      pinned();
      if (!matched()) named('');
    }
    form.dispatchEvent(new Event('moved'));
  });
}
if (button) {
  button.hidden = false;
  button.addEventListener('click', open);
}
