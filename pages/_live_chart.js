// Cost along a slider, drawn here from the costs of all its steps, so that it follows the slider's thumb at once: the page's own answer, with the
// range and the breakdown, comes from the server a moment later.
const HEIGHT = 300, ABOVE = 14, BELOW = 46, RIGHT = 18;
const states = new WeakMap();

export default function (component) {
  const { parentElement, data } = component;
  let state = states.get(parentElement);
  if (!state) {
    state = { root: parentElement.querySelector(".live"), place: -1, input: null };
    states.set(parentElement, state);
    state.resized = new ResizeObserver(() => draw(state));
    state.resized.observe(state.root);
    state.moved = new MutationObserver(() => follow(state));
    state.root.addEventListener("pointermove", (event) => hover(state, event));
    state.root.addEventListener("pointerleave", () => hover(state, null));
  }
  state.data = data;
  listen(state);
  // What the thumb says now counts: an answer may be of the step before.
  state.place = thumb(state) ?? data.chosen;
  draw(state);
  return () => {
    state.resized.disconnect();
    state.moved.disconnect();
    states.delete(parentElement);
  };
}

function listen(state) {
  const input = document.querySelector(`.st-key-${state.data.slider} input[type=range]`);
  if (input === state.input) return;
  state.moved.disconnect();
  state.input = input;
  if (input) state.moved.observe(input, { attributes: true, attributeFilter: ["aria-valuetext", "value"] });
}

function thumb(state) {
  const place = state.data.steps.indexOf(state.input?.getAttribute("aria-valuetext"));
  return place < 0 ? null : place;
}

function follow(state) {
  const place = thumb(state);
  if (place === null || place === state.place) return;
  state.place = place;
  mark(state);
}

function draw(state) {
  const { root, data } = state;
  const width = root.clientWidth;
  if (!width) return;
  const svg = root.querySelector("svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.setAttribute("aria-label", data.alt);
  const low = Math.min(...data.costs, data.today), high = Math.max(...data.costs, data.today);
  const ticks = round(low, high);
  const bottom = Math.min(ticks[0], low), top = Math.max(ticks[ticks.length - 1], high);
  const labels = ticks.map((tick) => amount(tick, ticks));
  const left = 12 + 7.2 * Math.max(...labels.map((label) => label.length));
  const last = Math.max(data.steps.length - 1, 1);
  state.x = (place) => left + 10 + ((width - left - RIGHT - 10) * place) / last;
  state.y = (cost) => ABOVE + ((HEIGHT - ABOVE - BELOW) * (top - cost)) / (top - bottom || 1);
  const parts = ticks.map((tick, n) =>
    `<line class="grid" x1="${left}" x2="${width - RIGHT}" y1="${state.y(tick)}" y2="${state.y(tick)}"/>` +
    `<text x="${left - 8}" y="${state.y(tick) + 4}" text-anchor="end">${labels[n]}</text>`);
  const longest = Math.max(...data.steps.map((step) => step.length));
  const every = Math.max(1, Math.ceil(((longest + 2) * 7.2 * data.steps.length) / (width - left)));
  data.steps.forEach((step, place) => {
    if (place % every === 0) parts.push(`<text x="${state.x(place)}" y="${HEIGHT - 26}" text-anchor="middle">${escaped(step)}</text>`);
  });
  parts.push(`<text x="${(left + width - RIGHT) / 2}" y="${HEIGHT - 4}" text-anchor="middle">${escaped(data.axis)}</text>`);
  const today = state.y(data.today);
  parts.push(`<line class="today" stroke="${data.colours.today}" x1="${left}" x2="${width - RIGHT}" y1="${today}" y2="${today}"/>`);
  const path = data.costs.map((cost, place) => `${place ? "L" : "M"}${state.x(place)} ${state.y(cost)}`).join("");
  parts.push(`<path class="cost" stroke="${data.colours.cost}" d="${path}"/>`);
  if (data.now >= 0) parts.push(`<circle r="4.5" fill="${data.colours.today}" cx="${state.x(data.now)}" cy="${state.y(data.costs[data.now])}"/>`);
  parts.push(`<line class="guide" y1="${ABOVE}" y2="${HEIGHT - BELOW}"/><path class="chosen" fill="${data.colours.chosen}" d="M0-8L8 0L0 8L-8 0Z"/>`);
  svg.innerHTML = parts.join("");
  for (const kind of ["cost", "today", "chosen"]) root.querySelector(`i.${kind}`).style.color = data.colours[kind];
  mark(state);
}

function mark(state) {
  const { root, data, place } = state;
  const chosen = root.querySelector("svg .chosen");
  if (!chosen || !state.x) return;
  const is_there = place >= 0 && place < data.costs.length;
  chosen.style.display = is_there ? "" : "none";
  if (is_there) chosen.setAttribute("transform", `translate(${state.x(place)} ${state.y(data.costs[place])})`);
  root.querySelector(".words").textContent = is_there ? data.words[place] : "";
}

function hover(state, event) {
  const guide = state.root.querySelector("svg .guide");
  const words = state.root.querySelector(".words");
  if (!guide || !state.x) return;
  if (!event) {
    guide.style.display = "none";
    words.textContent = state.data.words[state.place] ?? "";
    return;
  }
  const at = event.clientX - state.root.getBoundingClientRect().left;
  let nearest = 0;
  state.data.steps.forEach((_, place) => {
    if (Math.abs(state.x(place) - at) < Math.abs(state.x(nearest) - at)) nearest = place;
  });
  guide.setAttribute("x1", state.x(nearest));
  guide.setAttribute("x2", state.x(nearest));
  guide.style.display = "inline";
  words.textContent = state.data.words[nearest];
}

// About four round amounts from below the lowest to above the highest.
function round(low, high) {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((times) => times * power).find((each) => each >= rough);
  const ticks = [];
  for (let tick = Math.floor(low / step) * step; tick < high + step * 0.999; tick += step) ticks.push(Number(tick.toPrecision(12)));
  return ticks;
}

function amount(value, ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
  const digits = step >= 1 ? 0 : Math.min(6, Math.ceil(-Math.log10(step)));
  const words = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${value < 0 ? "\u2212" : ""}$${words}`;
}

function escaped(text) {
  return text.replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);
}
