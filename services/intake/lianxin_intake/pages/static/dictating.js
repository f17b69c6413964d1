// Speaking instead of typing, where the browser itself can write down speech; elsewhere there is no button.
const form = document.getElementById('opinion');
const button = document.getElementById('dictate');
const Recognition = window.SpeechRecognition || window.webkitSpeechRecognition;
if (Recognition) {
  const words = button.textContent;
  let listening = null;
  const ended = () => { listening = null; button.textContent = words; };
  button.hidden = false;
  button.addEventListener('click', () => {
    if (listening) { listening.stop(); return; }
    listening = new Recognition();
    listening.lang = document.documentElement.lang;
    listening.continuous = true;
    listening.onresult = (event) => {
      for (let at = event.resultIndex; at < event.results.length; at += 1) {
        if (event.results[at].isFinal) form.elements.text.value += event.results[at][0].transcript;
      }
      form.elements.text.dispatchEvent(new Event('input', { bubbles: true }));
    };
    listening.onerror = (event) => {
      if (event.error !== 'aborted' && event.error !== 'no-speech') document.getElementById('kept').textContent = button.dataset.failed;
    };
    listening.onend = ended;
    button.textContent = button.dataset.stop;
    try { listening.start(); } catch { ended(); } // it is running already
  });
}
