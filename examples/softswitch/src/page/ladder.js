// The SIP messages of this page, as they go and come.

const MOST = 500;

/** Shows everything that goes through a socket of JsSIP in `list`. */
export function watch(socket, list) {
  const send = socket.send.bind(socket);
  socket.send = (message) => {
    show(list, 'out', message);
    return send(message);
  };
  // JsSIP sets this when it takes the socket.
  let taken = () => {};
  Object.defineProperty(socket, 'ondata', {
    get: () => (data) => {
      show(list, 'in', data);
      taken(data);
    },
    set: (handler) => { taken = handler; },
  });
}

function show(list, direction, data) {
  const text = typeof data === 'string' ? data : new TextDecoder().decode(data);
  if (!text.trim()) return;
  const [first] = text.split('\r\n', 1);
  const cseq = first.startsWith('SIP/') ? /^CSeq:\s*(.*)$/im.exec(text)?.[1] ?? '' : '';
  const item = document.createElement('li');
  item.className = /^SIP\/2\.0 [4-6]/.test(first) ? `${direction} no` : direction;
  const details = document.createElement('details');
  const summary = document.createElement('summary');
  const part = (name, words) => {
    const span = document.createElement('span');
    span.className = name;
    span.textContent = words;
    summary.append(span, ' ');
  };
  part('way', direction === 'out' ? 'sent' : 'received');
  part('when', new Date().toTimeString().slice(0, 8));
  part('what', `${first.replace(/ SIP\/2\.0$/, '').replace(/^SIP\/2\.0 /, '')}${cseq && ` (${cseq})`}`);
  const body = document.createElement('pre');
  body.textContent = text.replace(/^((?:Proxy-)?Authorization:).*$/gim, '$1 (left out here)');
  details.append(summary, body);
  item.append(details);
  list.append(item);
  while (list.children.length > MOST) list.firstChild.remove();
}
