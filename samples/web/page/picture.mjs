// Draws a heap as SVG: regions as bars, buffers as boxes by size, borrows by colour and sign. It takes plain data and gives
// text, and knows no page: whatever has a snapshot can draw it.

/** The states of a buffer, what stands for each in a box, and how the legend names it. The first that applies is shown. */
const STATES = [
  { name: 'poisoned', sign: '!', title: 'poisoned', is: (buffer) => buffer.poisoned },
  { name: 'unique', sign: '✎', title: 'borrowed unique', is: (buffer) => buffer.unique },
  { name: 'shared', sign: '×', title: 'borrowed shared, how often', is: (buffer) => buffer.shared > 0 },
  { name: 'frozen', sign: '❄', title: 'frozen (dashed)', is: (buffer) => buffer.frozen },
  { name: 'free', sign: '', title: 'not borrowed', is: () => true },
];
const STYLE = `
.weave { --ink: #1d2733; --soft: #5a6775; --track: #e3e8ee; --live: #9fb3c8; --line: #ffffff; --free: #c9d5e1; --shared: #7cc4f8; --unique: #f5a65b; --frozen: #a7e3d4; --poisoned: #f29a9a; --mark: #8a1f1f; font: 13px system-ui, sans-serif }
@media (prefers-color-scheme: dark) { .weave { --ink: #e6edf3; --soft: #a3b1bf; --track: #2a333d; --live: #55697e; --line: #12181f; --free: #435363; --shared: #1f6fa8; --unique: #a9601a; --frozen: #22786a; --poisoned: #8c3434; --mark: #ffc2c2 } }
.weave text { fill: var(--ink) } .weave .soft { fill: var(--soft) } .weave .name { font-weight: 600 } .weave .inside { font-size: 12px; text-anchor: middle }
.weave .track { fill: var(--track) } .weave .live { fill: var(--live) }
.weave .box { stroke: var(--line); stroke-width: 1 }
.weave .free { fill: var(--free) } .weave .shared { fill: var(--shared) } .weave .unique { fill: var(--unique) } .weave .frozen { fill: var(--frozen) } .weave .poisoned { fill: var(--poisoned); stroke: var(--mark); stroke-width: 2 }
.weave .ice { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 4 3 }`.trim();

const BOX = { height: 28, gap: 3, least: 26 };
/** Boxes of one region; more are said in words. */
const MOST = 240;
/** The narrowest picture. */
const NARROWEST = 160;
/** About the width of a letter. */
const LETTER = 7.2;

/**
 * The picture of a heap, so many units wide (160 at least). `snapshot` is what `heap.stats()` gives, with `buffers` beside it: a list of what
 * `region.buffers()` gives for all regions.
 */
export function drawHeap(snapshot, { width: wanted = 720 } = {}) {
  const width = wanted >= NARROWEST ? wanted : NARROWEST;
  const { heap, regions } = snapshot;
  const buffers = new Map(regions.map((region) => [region.handle, []]));
  for (const buffer of snapshot.buffers) buffers.get(buffer.region)?.push(buffer);
  const largest = {
    region: Math.max(1, ...regions.map((region) => region.reserved)),
    buffer: Math.max(1, ...snapshot.buffers.map((buffer) => buffer.length)),
  };
  const parts = [];
  let y = 18;
  y = words(parts, `Heap ${heap.id.slice(0, 8)}`, `${size(heap.bytes_live)} live, ${size(heap.reserved)} reserved`, y, width);
  if (regions.length === 0) {
    parts.push(text(0, y + 10, 'No regions.', 'soft'));
    y += 26;
  }
  for (const region of regions) y = drawRegion(parts, region, buffers.get(region.handle), largest, y + 26, width);
  y = drawLegend(parts, y + 22, width);
  const height = Math.ceil(y + 6);
  const title = `Heap with ${counted(regions.length, 'region')} and ${counted(snapshot.buffers.length, 'buffer')}`;
  return (
    `<svg class="weave" xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ` +
    `role="img" aria-label="${escaped(title)}"><style>${STYLE}</style>${parts.join('')}</svg>`
  );
}

/** A region: its name, a bar of what it has reserved with what lives in it, and its buffers. Gives where it ends. */
function drawRegion(parts, region, buffers, largest, top, width) {
  const { handle, name, state, reserved } = region;
  const title = name === '' ? handle : `${name} (${handle})`;
  const numbers = `${counted(region.buffers, 'buffer')}, ${size(region.bytes_live)} live, ${size(reserved)} reserved`;
  let y = words(parts, state === 'open' ? title : `${title}, ${state}`, numbers, top, width);
  const long = (width * reserved) / largest.region;
  const full = reserved === 0 ? 0 : Math.min(1, region.bytes_live / reserved);
  parts.push(`<g><title>${escaped(`${title}: ${numbers}`)}</title>`);
  parts.push(`<rect class="track" x="0" y="${y}" width="${round(long)}" height="6" rx="3"/>`);
  parts.push(`<rect class="live" x="0" y="${y}" width="${round(long * full)}" height="6" rx="3"/></g>`);
  y += 12;
  let x = 0;
  for (const buffer of buffers.slice(0, MOST)) {
    const long = Math.min(width, Math.max(BOX.least, (width * buffer.length) / largest.buffer));
    if (x > 0 && x + long > width) {
      x = 0;
      y += BOX.height + BOX.gap;
    }
    parts.push(drawBuffer(buffer, x, y, long));
    x += long + BOX.gap;
  }
  if (buffers.length > 0) y += BOX.height;
  const more = region.buffers - Math.min(buffers.length, MOST);
  if (more > 0) {
    parts.push(text(0, y + 16, `and ${counted(more, 'buffer')} more`, 'soft'));
    y += 22;
  }
  return y + 4;
}

function drawBuffer(buffer, x, y, width) {
  const state = STATES.find(({ is }) => is(buffer));
  const sign = state.name === 'shared' ? `×${buffer.shared}` : state.sign;
  const words = [`${sign} ${buffer.handle} ${size(buffer.length)}`, `${sign} ${size(buffer.length)}`, sign].map((word) => word.trim());
  const inside = words.find((word) => word.length * LETTER < width - 4) ?? '';
  const ice = buffer.frozen && !buffer.poisoned ? ' ice' : '';
  const title = `${buffer.handle}: ${buffer.length} bytes, ${described(buffer)}`;
  return (
    `<g data-buffer="${escaped(buffer.handle)}" data-state="${state.name}"><title>${escaped(title)}</title>` +
    `<rect class="box ${state.name}${ice}" x="${round(x) + 0.5}" y="${y + 0.5}" width="${round(width - 1)}" height="${BOX.height - 1}" rx="3"/>` +
    `${text(x + width / 2, y + 18, inside, 'inside')}</g>`
  );
}

/** All that is true of a buffer, in words. */
function described(buffer) {
  const facts = [];
  if (buffer.poisoned) facts.push('poisoned');
  if (buffer.unique) facts.push('borrowed unique');
  if (buffer.shared > 0) facts.push(`borrowed shared ${counted(buffer.shared, 'time')}`);
  if (buffer.frozen) facts.push('frozen');
  return facts.length === 0 ? 'not borrowed' : facts.join(', ');
}

function drawLegend(parts, top, width) {
  let x = 0;
  let y = top;
  for (const { name, sign, title } of STATES) {
    const long = 26 + title.length * LETTER + 14;
    if (x > 0 && x + long > width) {
      x = 0;
      y += 22;
    }
    parts.push(`<rect class="box ${name}${name === 'frozen' ? ' ice' : ''}" x="${x + 0.5}" y="${y + 0.5}" width="20" height="15" rx="3"/>`);
    parts.push(text(x + 10.5, y + 12, sign, 'inside'), text(x + 27, y + 12, title, 'soft'));
    x += long;
  }
  return y + 18;
}

/** A line with words at its left and at its right; two lines if it is too narrow for both. Gives where it ends. */
function words(parts, left, right, y, width) {
  const both = (left.length + right.length + 3) * LETTER <= width;
  parts.push(text(0, y, cut(left, width), 'name'));
  if (!both) {
    parts.push(text(0, y + 17, cut(right, width), 'soft'));
    return y + 24;
  }
  parts.push(`<text class="soft" x="${width}" y="${y}" text-anchor="end">${escaped(right)}</text>`);
  return y + 7;
}

function text(x, y, words, style) {
  return words === '' ? '' : `<text class="${style}" x="${round(x)}" y="${y}">${escaped(words)}</text>`;
}

function cut(words, width) {
  const most = Math.max(4, Math.floor(width / LETTER));
  return words.length > most ? `${words.slice(0, most - 1)}…` : words;
}

/** Bytes as people read them. */
export function size(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let number = bytes;
  for (; number >= 1024 && unit < units.length - 1; unit += 1) number /= 1024;
  return `${unit === 0 || number >= 100 ? Math.round(number) : number.toFixed(1)} ${units[unit]}`;
}

const counted = (number, what) => `${number} ${what}${number === 1 ? '' : 's'}`;

const round = (number) => Math.round(number * 10) / 10;

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Text for SVG: names come from users, and may hold anything but what XML cannot say. */
function escaped(words) {
  return words.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '�').replace(/[&<>"]/g, (sign) => ENTITIES[sign]);
}
