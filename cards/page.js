// The page's one script. It shows one item at a time, so that a page of five is as light as one of fifty thousand: the
// list holds the rows in sight, and an item's body is read when it is looked at.
const page = document.documentElement;
const $ = name => document.querySelector(name);

// The theme is set before anything is drawn. In a frame of another site storage may be forbidden: then it holds until
// the page is left.
let theme = '';
try { theme = localStorage.getItem('seeker-theme') ?? ''; } catch { theme = ''; }
page.dataset.theme = theme;

function offerThemes() {
  $('.theme').hidden = false;
  $('#theme').value = theme;
  $('#theme').addEventListener('change', ({target}) => {
    page.dataset.theme = target.value;
    try { localStorage.setItem('seeker-theme', target.value); } catch { theme = target.value; }
  });
}

function browse() {
  const {chunks, share, items} = JSON.parse($('#index').textContent);
  const inside = chunks.length ? [] : $('#bodies').textContent.split('<!-- next -->');
  const list = $('.list'), rows = $('.list > ol'), search = $('.filters input');
  const fields = [...document.querySelectorAll('.filters select')];
  let fits = items.map((_, n) => n); // the items that fit the filters, in order
  let current = -1;

  // Bodies. A chunk is a script, because a page that is a file may read nothing else; the latest few are kept.
  const loaded = new Map();
  function chunk(number) {
    if (!chunks.length) return Promise.resolve(inside.slice(number * share, (number + 1) * share));
    const found = loaded.get(number) ?? new Promise((resolve, reject) => {
      const script = document.createElement('script');
      script.src = chunks[number];
      script.onload = () => { script.remove(); resolve(window.chunk); };
      script.onerror = () => { script.remove(); loaded.delete(number); reject(new Error(chunks[number])); };
      document.head.append(script);
    }).then(bodies => { bodies.forEach((body, n) => learn(number * share + n, body)); return bodies; });
    loaded.delete(number);
    loaded.set(number, found);
    if (loaded.size > 8) loaded.delete(loaded.keys().next().value);
    return found;
  }

  async function show(n, part = '') {
    current = n;
    draw();
    $('.nothing').hidden = n >= 0;
    $('.place').textContent = n < 0 ? '' : `${fits.indexOf(n) + 1} of ${fits.length}`;
    const step = by => fits[fits.indexOf(n) + by];
    $('.previous').disabled = step(-1) === undefined;
    $('.next').disabled = step(1) === undefined;
    if (n < 0) return $('#item').replaceChildren();
    const number = Math.floor(n / share);
    let body;
    try {
      body = (await chunk(number))[n % share];
    } catch (fault) {
      body = `<p class="note failed">${fault.message} is missing: this page and the folder beside it belong together.</p>`;
    }
    if (current !== n) return; // meanwhile another was asked for
    $('#item').innerHTML = body; // our own template's: whatever people or models wrote in it is escaped
    if (part) document.getElementById(part)?.scrollIntoView();
    const ahead = Math.floor((step(1) ?? n) / share);
    if (ahead !== number) chunk(ahead).catch(() => loaded.delete(ahead)); // said when it is looked at
  }

  function step(by) {
    const at = fits.indexOf(current);
    const next = at < 0 ? fits[0] : fits[at + by];
    if (next === undefined) return;
    history.replaceState(null, '', `#item-${next + 1}`);
    show(next, `item-${next + 1}`);
    keepInSight(next);
  }

  function follow() { // a link to an item or to one of its calls
    const named = location.hash.match(/^#(item-(\d+)(?:-call-\d+)?)$/);
    if (!named || !items[named[2] - 1]) return false;
    show(named[2] - 1, named[1]);
    keepInSight(current);
    return true;
  }

  // The list: rows of one height, of which only those in sight are in the document.
  const ROW_REM = 4.25;
  const drawn = new Map();
  const rowPx = () => ROW_REM * parseFloat(getComputedStyle(page).fontSize);

  function row(n) {
    const {asks, label, of, picture, framed} = items[n];
    const make = (tag, name, text = '') => Object.assign(document.createElement(tag), {className: name, textContent: text});
    const [line, link, said, told, names] = [make('li', ''), make('a', ''), make('div', ''), make('p', 'label'), make('bdi', '', label)];
    const small = picture ? Object.assign(make('img', ''), {src: picture, alt: '', decoding: 'async'}) : make('span', 'lost');
    link.href = `#item-${n + 1}`;
    line.style.height = `${ROW_REM}rem`;
    told.append(make('span', `state ${of.answer}`), names);
    said.append(Object.assign(make('p', 'asks', asks), {dir: 'auto'}), told);
    link.append(...(framed ? [small] : []), said);
    line.append(link);
    return line;
  }

  function draw() {
    const height = rowPx();
    const first = Math.max(0, Math.floor(list.scrollTop / height) - 4);
    const seen = fits.slice(first, Math.ceil((list.scrollTop + list.clientHeight) / height) + 4);
    const wanted = new Set(seen);
    for (const [n, line] of drawn) if (!wanted.has(n)) { line.remove(); drawn.delete(n); }
    rows.style.height = `${fits.length * ROW_REM}rem`;
    let place = rows.firstChild;
    seen.forEach((n, at) => {
      if (!drawn.has(n)) drawn.set(n, row(n));
      const line = drawn.get(n);
      line.style.top = `${(first + at) * ROW_REM}rem`;
      line.setAttribute('aria-posinset', first + at + 1);
      line.setAttribute('aria-setsize', fits.length);
      if (n === current) line.firstChild.setAttribute('aria-current', 'true');
      else line.firstChild.removeAttribute('aria-current');
      if (line === place) place = line.nextSibling;
      else rows.insertBefore(line, place);
    });
  }

  function keepInSight(n) {
    const top = fits.indexOf(n) * rowPx();
    if (top < list.scrollTop || top + rowPx() > list.scrollTop + list.clientHeight) list.scrollTop = top - list.clientHeight / 3;
    draw();
  }

  // Words. What the list knows of an item is searched at once, all its words from when its body was read.
  const plain = text => text.replace(/\s+/g, ' ').trim().toLowerCase();
  const words = [];
  const said = n => words[n] ??= plain(`${items[n].asks} ${items[n].also}`);
  const marks = {lt: '<', gt: '>', amp: '&', '#34': '"', '#39': "'"};
  const read = new Set();
  function learn(n, body) {
    if (read.has(n)) return;
    read.add(n);
    words[n] = plain(body.replace(/<[^>]*>/g, ' ').replace(/&(lt|gt|amp|#34|#39);/g, (_, name) => marks[name])) + ' ' + said(n);
  }

  function filter() {
    const wanted = plain(search.value);
    const chosen = fields.filter(field => field.value);
    const fit = ({of}, n) => chosen.every(field => of[field.name] === field.value) && (!wanted || said(n).includes(wanted));
    fits = items.flatMap((item, n) => fit(item, n) ? [n] : []);
    $('.shown').textContent = fits.length === items.length ? `${items.length} items` : `${fits.length} of ${items.length} items`;
    $('.reset').hidden = !wanted && !chosen.length;
    tellDepth();
    if (fits.includes(current)) { show(current); keepInSight(current); return; }
    list.scrollTop = 0;
    show(fits[0] ?? -1);
    if (fits.length) history.replaceState(null, '', `#item-${current + 1}`);
  }

  function tellDepth(reading = false) {
    $('.depth').hidden = !chunks.length || !search.value.trim() || read.size === items.length;
    $('.depth button').hidden = reading;
    $('.depth span').textContent = reading ? `Reading ${read.size} of ${items.length}` : 'Searched: questions, options, answers, targets.';
  }

  async function readAll() {
    for (let number = 0; number * share < items.length; number += 1) {
      const from = number * share;
      if (read.has(from) && read.has(Math.min(from + share, items.length) - 1)) continue;
      const bodies = await chunk(number);
      bodies.forEach((body, n) => learn(from + n, body));
      if (chunks.length) tellDepth(true);
      await new Promise(go => setTimeout(go)); // others have their turn
    }
    if (search.value) filter();
  }

  $('.depth button').addEventListener('click', () => readAll().catch(fault => {
    tellDepth();
    $('.depth span').textContent = `${fault.message} is missing.`;
  }));
  $('.filters').addEventListener('input', filter);
  $('.filters').addEventListener('submit', event => event.preventDefault());
  $('.reset').addEventListener('click', () => { $('.filters').reset(); filter(); search.focus(); });
  $('.previous').addEventListener('click', () => step(-1));
  $('.next').addEventListener('click', () => step(1));
  $('.help').addEventListener('click', () => $('dialog').showModal());
  list.addEventListener('scroll', draw);
  new ResizeObserver(draw).observe(list);
  addEventListener('hashchange', follow);
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || $('dialog').open) return;
    if (event.target.closest('input, select')) {
      if (event.key === 'Escape') event.target.blur();
    } else if (event.key === 'j' || event.key === 'ArrowRight') step(1);
    else if (event.key === 'k' || event.key === 'ArrowLeft') step(-1);
    else if (event.key === '?') $('dialog').showModal();
    else if (event.key === '/') { event.preventDefault(); open(true); search.focus(); }
  });

  const narrow = matchMedia('(max-width: 56rem)'); // as in the style sheet: there all but the item opens on demand
  function open(yes) {
    $('#choose').hidden = !yes;
    $('.fold').setAttribute('aria-expanded', yes);
  }
  $('.fold').addEventListener('click', () => open($('#choose').hidden));
  const fold = () => { open(!narrow.matches); $('.counts').open = !narrow.matches; };
  narrow.addEventListener('change', fold);
  fold();
  history.scrollRestoration = 'manual'; // the browser would scroll before the item is there
  $('nav').hidden = false;
  $('.shown').textContent = `${items.length} items`;
  if (!follow()) show(0);
  if (!chunks.length) (window.requestIdleCallback ?? setTimeout)(readAll);
}

document.addEventListener('DOMContentLoaded', () => {
  offerThemes();
  if ($('#index')) browse();
});
