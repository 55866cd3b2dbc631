// A telephone on JsSIP: register, call, answer, hold, transfer, tones, messages.

import { loadJsSIP } from './modules.js';
import { watch } from './ladder.js';

const at = (id) => document.getElementById(id);
const settings = { domain: 'localhost' };
const title = document.title;
/** The calls that ring here, the oldest first. */
const ringing = new Set();
let JsSIP;
let agent;

/** Whoever looks at another page is to see who calls, too. */
function entitle() {
  const [first] = ringing;
  document.title = first ? `\u260e ${first.peer} calls` : title;
}

/** Tells how this telephone is; `how` is `good`, `bad` or nothing. */
function status(text, how = '') {
  at('status').textContent = text;
  at('status').className = how;
}

function problem(text) {
  at('problem').hidden = !text;
  at('problem').textContent = text;
}

function enable(on, ...ids) {
  for (const id of ids) at(id).disabled = !on;
}

/** What was typed as a SIP URI: a name alone is one of this server's users. */
function uriOf(text) {
  const typed = text.trim();
  if (/^sips?:/i.test(typed)) return typed;
  return `sip:${typed.includes('@') ? typed : `${typed}@${settings.domain}`}`;
}

function register(event) {
  event.preventDefault();
  agent?.stop();
  const name = at('name').value.trim();
  const socket = new JsSIP.WebSocketInterface(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/`);
  watch(socket, at('ladder'));
  agent = new JsSIP.UA({
    sockets: [socket],
    uri: `sip:${name}@${settings.domain}`,
    password: at('password').value || undefined,
    register_expires: 600,
    session_timers: true,
    user_agent: 'softswitch telephone',
  });
  agent.on('connected', () => status('Connected; registering.'));
  agent.on('disconnected', () => status('Not connected. Trying again.', 'bad'));
  agent.on('registered', () => {
    status(`Registered as ${name}@${settings.domain}.`, 'good');
    enable(true, 'unregister', 'audio', 'video', 'send');
  });
  agent.on('unregistered', () => {
    status('Not registered.');
    enable(false, 'unregister', 'audio', 'video', 'send');
  });
  agent.on('registrationFailed', ({ cause }) => status(`Not registered: ${cause}.`, 'bad'));
  agent.on('newRTCSession', ({ originator, session }) => new Call(session, originator === 'remote'));
  agent.on('newMessage', ({ originator, message, request }) => {
    const other = originator === 'remote' ? request.from.uri : request.to?.uri ?? message.remote_identity?.uri;
    const item = note(`${originator === 'remote' ? 'from' : 'to'} ${other?.user ?? '?'}: ${request.body ?? ''}`);
    message.on?.('failed', ({ cause }) => { item.textContent += ` (not delivered: ${cause})`; });
  });
  agent.start();
}

function note(text) {
  const item = document.createElement('li');
  item.textContent = text;
  at('messages').append(item);
  return item;
}

/** One call and its card on the page. */
class Call {
  constructor(session, incoming) {
    this.session = session;
    this.card = at('call').content.firstElementChild.cloneNode(true);
    at('calls').append(this.card);
    this.peer = session.remote_identity.uri.user ?? `${session.remote_identity.uri}`;
    this.find('h3').textContent = `${incoming ? 'From' : 'To'} ${this.peer}`;
    this.state(incoming ? 'ringing here' : 'calling');
    for (const key of '123456789*0#') {
      const button = document.createElement('button');
      button.textContent = key;
      button.addEventListener('click', () => session.sendDTMF(key));
      this.find('.keys').append(button);
    }
    this.offer(incoming ? ['answer', 'video', 'end'] : ['end']);
    if (incoming) {
      this.card.classList.add('rings');
      ringing.add(this);
      entitle();
    }
    this.card.addEventListener('click', (event) => this.act(event.target.dataset.do));
    session.on('progress', ({ originator }) => originator === 'remote' && this.state('ringing there'));
    session.on('accepted', () => { this.quiet(); this.state('answered'); });
    session.on('confirmed', () => {
      this.state('talking');
      this.offer(['hold', 'transfer', 'end', 'keys']);
      this.show('.local', this.sent());
    });
    session.on('hold', ({ originator }) => this.state(originator === 'local' ? 'on hold' : 'put on hold by the other side'));
    session.on('unhold', () => this.state('talking'));
    session.on('newDTMF', ({ originator, dtmf }) => originator === 'remote' && this.state(`talking; the other side pressed ${dtmf.tone}`));
    session.on('ended', ({ originator, cause }) => this.over(`ended by ${originator === 'remote' ? 'the other side' : 'you'} (${cause})`));
    session.on('failed', ({ cause }) => this.over(cause));
    // In a transfer the other side asks for a call to somebody else.
    session.on('refer', ({ accept }) => accept((referred) => new Call(referred, false)));
    session.on('peerconnection', () => this.media());
    if (session.connection) this.media();
  }

  find(selector) { return this.card.querySelector(selector); }

  state(text) { this.find('.state').textContent = text; }

  /** Rings no more. */
  quiet() {
    this.card.classList.remove('rings');
    ringing.delete(this);
    entitle();
  }

  /** Shows the buttons that do something now. */
  offer(names) {
    for (const button of this.card.querySelectorAll('[data-do]')) button.hidden = !names.includes(button.dataset.do);
    this.find('.keys').hidden = !names.includes('keys');
  }

  media() {
    const stream = new MediaStream();
    this.session.connection.addEventListener('track', ({ track }) => {
      stream.addTrack(track);
      this.show('.remote', stream);
    });
  }

  sent() {
    return new MediaStream(this.session.connection.getSenders().map((sender) => sender.track).filter(Boolean));
  }

  show(selector, stream) {
    this.find(selector).srcObject = stream;
    if (stream.getVideoTracks().length) this.find('.media').classList.add('seen');
  }

  act(what) {
    const { session } = this;
    if (what === 'answer' || what === 'video') session.answer(options(what === 'video'));
    if (what === 'end') session.terminate();
    if (what === 'hold') {
      const held = session.isOnHold().local;
      if (held ? session.unhold() : session.hold()) this.find('[data-do=hold]').textContent = held ? 'Hold' : 'Go on';
    }
    if (what === 'transfer') {
      const target = at('target').value;
      if (!target) return this.state('write above to whom');
      const transfer = session.refer(uriOf(target), {});
      transfer.on('accepted', () => { this.state(`transferred to ${target}`); session.terminate(); });
      for (const no of ['failed', 'requestFailed']) transfer.on(no, () => this.state(`${target} does not take the call`));
    }
    return undefined;
  }

  over(text) {
    this.quiet();
    this.card.classList.add('over');
    this.state(text);
    this.offer([]);
    this.find('.media').classList.remove('seen');
    for (const video of this.card.querySelectorAll('video')) video.srcObject = null;
    setTimeout(() => this.card.remove(), 15000);
  }
}

function options(video) {
  return { mediaConstraints: { audio: true, video }, pcConfig: { iceServers: [] }, sessionTimersExpires: 120 };
}

async function start() {
  Object.assign(settings, await (await fetch('settings.json')).json());
  const loaded = await loadJsSIP();
  JsSIP = loaded.JsSIP;
  status(`Ready: JsSIP ${JsSIP.version} from ${loaded.place}.`);
  enable(true, 'register');
  if (!navigator.mediaDevices) {
    problem('This browser gives no microphone to this page: it must come from localhost or over https.');
  }
  at('account').addEventListener('submit', register);
  at('unregister').addEventListener('click', () => agent?.unregister({ all: false }));
  at('dial').addEventListener('submit', (event) => {
    event.preventDefault();
    agent.call(uriOf(at('target').value), options(event.submitter?.value === 'video'));
  });
  at('write').addEventListener('submit', (event) => {
    event.preventDefault();
    if (!at('target').reportValidity()) return;
    agent.sendMessage(uriOf(at('target').value), at('text').value);
    at('text').value = '';
  });
  at('clear').addEventListener('click', () => at('ladder').replaceChildren());
}

start().catch((error) => {
  status('Not working.', 'bad');
  problem(`JsSIP, the SIP library of this page, is missing.\n${error.message}\n
Run "npm ci" in examples/softswitch and start softswitch there again, name a folder with --web-modules, or connect this computer to the network.`);
});
