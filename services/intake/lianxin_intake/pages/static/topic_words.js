// Which topic a text's words speak for: the same rules as the router's (docs/registry.md), on the phone, so that
// nothing leaves it before it is sent. `topics`: rows [code, name, first level or '', {weight: 'word word …'}].
const STEEPNESS = 1.5, USUAL_LENGTH = 200, SHARPNESS = 0.2, BACKGROUND = 2, SECOND_LEVEL_SHARE = 0.4;
export const CERTAIN_ENOUGH = 0.5;

export function indexed(topics) {
  const words = new Map();
  const top = new Map(topics.map(([code, , above]) => [code, above || code]));
  let longest = 0;
  for (const [code, , , weighed] of topics) {
    for (const [weight, some] of Object.entries(weighed)) {
      for (const word of some.split(' ')) {
        if (!words.has(word)) words.set(word, []);
        words.get(word).push([code, Number(weight)]);
        longest = Math.max(longest, word.length);
      }
    }
  }
  return { words, longest, top, names: new Map(topics.map(([code, name]) => [code, name])) };
}

// How often each known word is in `text`; of words that overlap the longest counts.
function counted(text, index) {
  const counts = new Map();
  for (let at = 0; at < text.length;) {
    let length = Math.min(index.longest, text.length - at);
    while (length && !index.words.has(text.substr(at, length))) length -= 1;
    if (length) {
      const word = text.substr(at, length);
      counts.set(word, (counts.get(word) || 0) + 1);
    }
    at += length || 1;
  }
  return counts;
}

// The code of the topic, and how sure that is (0..1); null where no word is known.
export function topicOf(text, index) {
  const own = new Map(), first = new Map();
  const add = (to, code, value) => to.set(code, (to.get(code) || 0) + value);
  for (const [word, count] of counted(text, index)) {
    for (const [code, weight] of index.words.get(word)) add(own, code, weight ** STEEPNESS * Math.log1p(count));
  }
  if (!own.size) return null;
  for (const [code, strength] of own) add(first, index.top.get(code), strength);
  const damped = SHARPNESS / Math.sqrt(Math.max(text.length / USUAL_LENGTH, 1));
  const weights = [...first].map(([code, strength]) => [code, Math.exp(Math.min(strength * damped, 700))]);
  const total = weights.reduce((sum, [, weight]) => sum + weight, Math.exp(BACKGROUND * damped));
  weights.sort((one, other) => other[1] - one[1] || (one[0] < other[0] ? -1 : 1));
  const [best, weight] = weights[0];
  const below = [...own].filter(([code]) => code !== best && index.top.get(code) === best)
    .sort((one, other) => other[1] - one[1] || (one[0] < other[0] ? 1 : -1))[0];
  const finer = below && below[1] >= SECOND_LEVEL_SHARE * first.get(best) ? below[0] : best;
  return { code: finer, certainty: weight / total };
}
