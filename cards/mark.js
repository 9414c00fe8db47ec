// The page's one script: shows a frame, lets one thing be drawn on it, and sends what was drawn and written. Every word
// that comes back is put in as text.
const $ = name => document.querySelector(name);
const {duration_s, size_wh} = JSON.parse($('#facts').textContent);
const canvas = $('canvas'), pen = canvas.getContext('2d'), form = $('form'), clock = $('#time');
[canvas.width, canvas.height] = size_wh;
canvas.classList.toggle('small', size_wh[0] < 480);
clock.max = duration_s;

let shown = null;     // the frame on screen: its picture, its true time, the times of its neighbours
let drawn = null;     // the one thing: {time_s, box} or {time_s, outline}, in pixels of the frame
let drawing = null;   // while the pointer is down

// Frames. One is asked for at a time; of those wished for meanwhile only the last.
let wish = null, fetching = false;
async function show(time) {
  wish = Math.min(Math.max(time, 0), duration_s);
  clock.value = wish;
  if (fetching) return;
  fetching = true;
  try {
    while (wish !== null) {
      const asked = wish;
      wish = null;
      const reply = await fetch(`frame?time=${asked}`);
      if (!reply.ok) throw new Error(await reply.text());
      const [at, before, after] = ['X-Time', 'X-Before', 'X-After'].map(name => Number(reply.headers.get(name)));
      const picture = await createImageBitmap(await reply.blob());
      shown?.picture.close();
      shown = {picture, at, before, after};
      if (wish === null) clock.value = at;
      paint();
    }
  } catch (error) { say(reason(error), 'wrong'); } finally { fetching = false; }
}

function step(by) {
  if (!shown) return;
  if (by.endsWith('s')) show((wish ?? shown.at) + parseFloat(by));
  else show(by === '1' ? shown.after : shown.before);
}

function paint() {
  if (!shown) return;
  pen.drawImage(shown.picture, 0, 0, canvas.width, canvas.height);
  $('#clock').textContent = `${shown.at.toFixed(3)} s`;
  const here = drawing ?? (drawn && drawn.time_s === shown.at ? drawn : null);
  if (here) trace(here);
  $('#clear').hidden = !drawn;
  $('#back').hidden = !drawn || drawn.time_s === shown.at;
  if (drawn) $('#back').textContent = `drawn at ${drawn.time_s.toFixed(3)} s`;
}

function trace({box, outline}) {
  const width = canvas.width / canvas.clientWidth;
  pen.beginPath();
  if (box) pen.rect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
  else { outline.forEach(([x, y]) => pen.lineTo(x, y)); if (!drawing) pen.closePath(); }
  for (const [colour, thick] of [['rgb(0 0 0 / .7)', 4], ['#fff', 2]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = thick * width;
    pen.setLineDash(colour === '#fff' ? [6 * width, 4 * width] : []);
    pen.stroke();
  }
}

// Drawing, by mouse, pen or finger.
function place(event) {
  const {left, top, width, height} = canvas.getBoundingClientRect();
  const [x, y] = [(event.clientX - left) / width * canvas.width, (event.clientY - top) / height * canvas.height];
  return [Math.min(Math.max(x, 0), canvas.width), Math.min(Math.max(y, 0), canvas.height)];
}
canvas.addEventListener('pointerdown', event => {
  if (!shown || event.button !== 0 || drawing) return;
  canvas.setPointerCapture(event.pointerId);
  const [x, y] = place(event), tool = $('[name=tool]:checked').value;
  drawing = {time_s: shown.at, ...(tool === 'box' ? {box: [x, y, x, y]} : {outline: [[x, y]]})};
});
canvas.addEventListener('pointermove', event => {
  if (!drawing) return;
  const [x, y] = place(event);
  if (drawing.box) drawing.box.splice(2, 2, x, y);
  else if (drawing.outline.length < 5000) drawing.outline.push([x, y]);
  paint();
});
canvas.addEventListener('pointerup', () => {
  if (!drawing) return;
  const points = drawing.outline ?? [drawing.box.slice(0, 2), drawing.box.slice(2)];
  const spread = axis => Math.max(...points.map(point => point[axis])) - Math.min(...points.map(point => point[axis]));
  const large = spread(0) >= 2 && spread(1) >= 2;  // else it was a click
  if (large) drawn = drawing;
  drawing = null;
  paint();
  if (large) preview();
});
canvas.addEventListener('pointercancel', () => { drawing = null; paint(); });
function clear() {
  drawn = drawing = null;
  $('#seen').hidden = true;
  paint();
}

// What is sent.
function written() {
  const field = name => form.elements[name].value.trim();
  const options = field('options').split('\n').map(option => option.trim()).filter(Boolean);
  const window = field('start') || field('end') ? [Number(field('start') || 0), Number(field('end') || duration_s)] : null;
  return {...drawn, shape: field('shape'), tag: field('tag'), question: field('question'), options, answer: field('answer'), window};
}
async function send(name) {
  const headers = {'Content-Type': 'application/json'};
  const reply = await fetch(name, {method: 'POST', headers, body: JSON.stringify(written())});
  if (!reply.ok) throw new Error(await reply.text());
  return reply.json();
}
function reason(error) {
  return error instanceof TypeError ? 'No answer: does seekerdata mark still run? Its terminal says more.' : error.message;
}
function say(text, kind = '') {
  $('#said').textContent = text;
  $('#said').className = kind;
}

let asked = 0;
async function preview() {
  if (!drawn) return;
  const number = ++asked, seen = $('#seen');
  seen.classList.add('waiting');
  try {
    const facts = await send('preview');
    if (number !== asked || !drawn) return;
    seen.querySelector('img').src = facts.image;
    seen.querySelector('.question').textContent = written().question ? facts.question : '';
    seen.querySelector('ol').replaceChildren(...(written().options.length ? facts.options : []).map(option => {
      const line = document.createElement('li');
      line.textContent = option;
      return line;
    }));
    seen.querySelector('.made').textContent = drawn.box ? `its outline inside the box: ${facts.mask_from}` : '';
    seen.hidden = false;
    if ($('#said').className === 'wrong') say('');
  } catch (error) {
    if (number === asked) { seen.hidden = true; say(reason(error), 'wrong'); }
  } finally { if (number === asked) seen.classList.remove('waiting'); }
}

const buttons = [...document.querySelectorAll('.act button')];
async function act(name, doing, done) {
  if (!drawn) return say('Draw around one thing on a frame first.', 'wrong');
  buttons.forEach(button => { button.disabled = true; });
  say(doing);
  try { done(await send(name)); } catch (error) { say(reason(error), 'wrong'); } finally {
    buttons.forEach(button => { button.disabled = false; });
  }
}
form.addEventListener('submit', event => {
  event.preventDefault();
  act('save', 'Saving …', ({id, file, rows}) => {
    say(`Saved as ${id}; ${file} has ${rows} ${rows === 1 ? 'row' : 'rows'}.`, 'right');
    for (const name of ['question', 'options', 'answer', 'start', 'end']) form.elements[name].value = '';
    preview();
  });
});
$('#ask')?.addEventListener('click', () => act('ask', 'The model looks …', ({answer, stop, correct, page}) => {
  const verdict = correct === null ? '' : correct ? ', which is right' : ', which is not the answer given';
  say(answer ? `It answered “${answer}”${verdict}.` : `No answer: ${stop.replaceAll('_', ' ')}.`, correct === false ? 'wrong' : correct ? 'right' : '');
  $('#answered').hidden = false;
  $('#answered a').href = $('iframe').src = page;
}));
form.addEventListener('change', preview);

// Steps and keys.
clock.addEventListener('input', () => show(Number(clock.value)));
document.querySelectorAll('[data-step]').forEach(button => button.addEventListener('click', () => step(button.dataset.step)));
document.querySelectorAll('[data-now]').forEach(button => button.addEventListener('click', () => {
  form.elements[button.dataset.now].value = shown ? shown.at.toFixed(2) : '';
  preview();
}));
$('#clear').addEventListener('click', clear);
$('#back').addEventListener('click', () => show(drawn.time_s));
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches('form *:not(button), [name=tool]')) return;
  if (event.key === 'Escape') clear();
  else if (event.key === 'ArrowLeft') step(event.shiftKey ? '-1 s' : '-1');
  else if (event.key === 'ArrowRight') step(event.shiftKey ? '1 s' : '1');
  else return;
  event.preventDefault();
});
addEventListener('resize', paint);
show(0);
