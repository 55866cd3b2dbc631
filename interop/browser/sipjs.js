// The telephone of page.js over SIP.js, which says and does many things otherwise: it asks for no GRUU, puts the Contact of its peer
// into Refer-To, and sends INVITEs without an offer. It does what it is told and reports all that happens with `report`.

/* global report */

import { Inviter, Messager, Registerer, UserAgent } from '/sip.js/lib/index.js';

let ua;
let registerer;
let session;
let waiting;

const media = { sessionDescriptionHandlerOptions: { constraints: { audio: true, video: false } } };

/** Reports what goes through a socket: SIP.js has no place to look at it. */
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (text) {
  if (!this.watched) {
    this.watched = true;
    this.addEventListener('message', ({ data }) => data.trim() && report('wire', { direction: 'received', text: data }));
  }
  if (text.trim()) report('wire', { direction: 'sent', text });
  return send.call(this, text);
};

/** What every outgoing request is told back. */
function replies() {
  return {
    onProgress: ({ message }) => report('progress', { status: message.statusCode }),
    onReject: ({ message }) => report('failed', { status: message.statusCode }),
  };
}

/** Who has a call. */
function take(call) {
  if (session?.state === 'Established') waiting = session;
  session = call;
  call.stateChange.addListener((state) => {
    if (state === 'Established') report('confirmed', {});
    if (state === 'Terminated') report('ended', {});
  });
  call.delegate = {
    onInfo(info) {
      report('info', { body: info.request.body });
      info.accept();
    },
    async onRefer(referral) {
      await referral.accept();
      const inviter = referral.makeInviter(media);
      take(inviter);
      await inviter.invite({ requestDelegate: replies() });
    },
  };
}

const told = {
  onNotify(notification) {
    notification.accept();
    report('notified', { line: notification.request.body.split('\r\n')[0] });
  },
};

window.phone = {
  async start({ server, user, domain, password }) {
    ua = new UserAgent({
      uri: UserAgent.makeURI(`sip:${user}@${domain}`),
      transportOptions: { server },
      authorizationUsername: user,
      authorizationPassword: password,
      sipExtension100rel: 'Supported',
      sipExtensionReplaces: 'Supported',
      sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: { iceServers: [] } },
      delegate: {
        onInvite(invitation) {
          take(invitation);
          report('incoming', { from: invitation.remoteIdentity.uri.user });
          // It takes the place of a call that is up already: nobody has to be asked.
          if (invitation.request.hasHeader('Replaces')) invitation.accept(media);
        },
        onMessage(message) {
          report('message', { from: message.request.from.uri.user, text: message.request.body });
          message.accept();
        },
        onDisconnect: () => report('disconnected', {}),
      },
    });
    await ua.start();
    registerer = new Registerer(ua);
    registerer.stateChange.addListener((state) => {
      if (state === 'Registered') report('registered', {});
      if (state === 'Unregistered') report('unregistered', {});
    });
    const refused = { onReject: ({ message }) => report('refused', { status: message.statusCode }) };
    await registerer.register({ requestDelegate: refused });
  },
  unregister: () => registerer.unregister(),
  async call(target, { late = false } = {}) {
    const inviter = new Inviter(ua, UserAgent.makeURI(target), { ...media, inviteWithoutSdp: late });
    take(inviter);
    await inviter.invite({ requestDelegate: replies() });
  },
  answer: () => session.accept(media),
  ring: () => session.progress({ ...media, statusCode: 183, rel: true }),
  refuse: (status) => session.reject({ statusCode: status }),
  cancel: () => session.cancel(),
  end: () => session.bye(),
  transfer: (target) => session.refer(UserAgent.makeURI(target), told),
  /** The two calls there are become one without us. */
  join: () => waiting.refer(session, told),
  tone: (key) => session.info({
    requestOptions: {
      body: {
        contentDisposition: 'render',
        contentType: 'application/dtmf-relay',
        content: `Signal=${key}\r\nDuration=160`,
      },
    },
  }),
  message: (target, text) => new Messager(ua, UserAgent.makeURI(target), text).message({
    requestDelegate: {
      onAccept: () => report('delivered', {}),
      onReject: ({ message }) => report('not delivered', { status: message.statusCode }),
    },
  }),
  /** What sound has come in so far. */
  async received() {
    let audio = 0;
    const stats = await session.sessionDescriptionHandler.peerConnection.getStats();
    for (const entry of stats.values()) if (entry.type === 'inbound-rtp') audio += entry.packetsReceived;
    return { audio };
  },
};
report('loaded', {});
