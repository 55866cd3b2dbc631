// One telephone in a browser window. It does what it is told and reports all that happens with `report`, which the
// driver provides.

/* global JsSIP, report */

let ua;
let session;

/** Takes over what goes through the socket, to report it. */
function watch(socket) {
  const send = socket.send.bind(socket);
  socket.send = (text) => {
    if (text.trim()) report('wire', { direction: 'sent', text });
    return send(text);
  };
  let taken = () => {};
  Object.defineProperty(socket, 'ondata', {
    get: () => (text) => {
      if (text.trim()) report('wire', { direction: 'received', text });
      taken(text);
    },
    set: (handler) => { taken = handler; },
  });
  return socket;
}

/** Who has a call. */
function take(call) {
  session = call;
  for (const name of ['progress', 'accepted', 'confirmed', 'hold', 'unhold']) {
    call.on(name, (event) => report(name, { originator: event?.originator }));
  }
  for (const name of ['ended', 'failed']) {
    call.on(name, ({ originator, cause }) => report(name, { originator, cause }));
  }
  call.on('newDTMF', ({ originator, dtmf }) => originator === 'remote' && report('tone', { tone: dtmf.tone }));
  call.on('newInfo', ({ originator, info }) => originator === 'remote' && report('info', { body: info.body }));
  call.on('refer', ({ accept }) => accept(take, media(true)));
}

function media(video) {
  return { mediaConstraints: { audio: true, video }, pcConfig: { iceServers: [] } };
}

window.phone = {
  start({ server, user, domain, password }) {
    ua = new JsSIP.UA({
      sockets: [watch(new JsSIP.WebSocketInterface(server))],
      uri: `sip:${user}@${domain}`,
      password,
      session_timers: false,
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: 2,
    });
    for (const name of ['connected', 'disconnected', 'registered', 'unregistered']) ua.on(name, () => report(name, {}));
    ua.on('registrationFailed', ({ cause, response }) => report('refused', { cause, status: response?.status_code }));
    ua.on('newRTCSession', ({ originator, session: call }) => {
      if (originator !== 'remote') return;
      take(call);
      report('incoming', { from: call.remote_identity.uri.user });
    });
    ua.on('newMessage', ({ originator, request }) => {
      if (originator === 'remote') report('message', { from: request.from.uri.user, text: request.body });
    });
    ua.start();
  },
  unregister: () => ua.unregister(),
  stop: () => ua.stop(),
  /** As a network that goes away: JsSIP is not asked. */
  kill: () => ua.transport.socket._ws.close(),
  call: (target, video) => take(ua.call(target, media(video))),
  answer: (video) => session.answer(media(video)),
  end: (options) => session.terminate(options),
  hold: () => session.hold(),
  unhold: () => session.unhold(),
  tone: (key) => session.sendDTMF(key),
  transfer(target) {
    const transfer = session.refer(target);
    for (const name of ['requestSucceeded', 'requestFailed', 'accepted', 'failed']) {
      transfer.on(name, () => report(`transfer ${name}`, {}));
    }
  },
  message: (target, text) => ua.sendMessage(target, text, {
    eventHandlers: {
      succeeded: () => report('delivered', {}),
      failed: ({ cause, response }) => report('not delivered', { cause, status: response?.status_code }),
    },
  }),
  /** What media has come in so far, by kind. */
  async received() {
    const kinds = {};
    for (const entry of (await session.connection.getStats()).values()) {
      if (entry.type === 'inbound-rtp') kinds[entry.kind] = (kinds[entry.kind] ?? 0) + entry.packetsReceived;
    }
    return { ice: session.connection.iceConnectionState, ...kinds };
  },
  /** The directions of the media, as negotiated. */
  directions: () => session.connection.getTransceivers().map((transceiver) => transceiver.currentDirection),
};
