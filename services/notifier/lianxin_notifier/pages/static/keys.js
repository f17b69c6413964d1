// Keys on a desk: j and k lead through a list, x chooses, a chooses all, u goes back, ? shows this.
function toggle(box) {
  box.checked = !box.checked;
  box.dispatchEvent(new Event('change', { bubbles: true }));
}

export function startKeys() {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest('input:not([type=checkbox]), textarea, select')) return;
    const links = [...document.querySelectorAll('#lines a')];
    const now = links.findIndex((one) => one.closest('li').contains(document.activeElement));
    const boxes = [...document.querySelectorAll('#lines input[type=checkbox]')];
    if (event.key === 'j' && links.length) links[Math.min(now + 1, links.length - 1)].focus();
    else if (event.key === 'k' && links.length) links[Math.max(now - 1, 0)].focus();
    else if (event.key === 'x' && boxes.length && now >= 0) toggle(boxes[now]);
    else if (event.key === 'a' && boxes.length) {
      const all = boxes.every((one) => one.checked);
      boxes.filter((one) => one.checked === all).forEach(toggle);
    } else if (event.key === 'u') document.getElementById('back')?.click();
    else if (event.key === '?') {
      const keys = document.getElementById('keys');
      if (keys) { keys.style.display = 'block'; keys.open = !keys.open; keys.querySelector('summary').focus(); }
    } else return;
    event.preventDefault();
  });
}
