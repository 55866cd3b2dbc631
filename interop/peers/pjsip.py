"""Three telephones of PJSIP against a server: python pjsip.py TRANSPORT ADDRESS. The first step that fails ends it.

The users are alice, bob and carol of the domain localhost, with the passwords that the environment gives in PASSWORDS.
"""

import os
import sys
import time

import pjsua2 as pj

TRANSPORT, SERVER = sys.argv[1:3]
PASSWORDS = dict(pair.split(":") for pair in os.environ["PASSWORDS"].split())
# No step may end later than this, which is before whoever started this loses patience.
END = time.time() + 100

endpoint = pj.Endpoint()
kept = []  # The library does not keep what it calls back.


def until(what, condition):
    while not condition():
        if time.time() > END:
            raise SystemExit(f"FAIL: {what}")
        endpoint.libHandleEvents(20)
    print("ok:", what, flush=True)


class Call(pj.Call):
    def __init__(self, account, number=pj.PJSUA_INVALID_ID):
        super().__init__(account, number)
        kept.append(self)
        self.states, self.media, self.tones, self.code, self.transfer = [], [], "", 0, []

    def onCallState(self, _):
        info = self.getInfo()
        self.states.append(info.stateText)
        self.code = info.lastStatusCode

    def onCallMediaState(self, _):
        info = self.getInfo()  # The list is a part of it, and goes with it.
        self.media.append([media.status for media in info.media])

    def onDtmfDigit(self, event):
        self.tones += event.digit

    def onCallTransferStatus(self, event):
        self.transfer.append(event.statusCode)

    def reply(self, code):
        options = pj.CallOpParam(True)
        options.statusCode = code
        self.answer(options)


class Account(pj.Account):
    def __init__(self, user, password):
        super().__init__()
        kept.append(self)
        self.registered, self.incoming, self.messages, self.sent = [], [], [], []
        config = pj.AccountConfig()
        config.idUri = f"sip:{user}@localhost"
        config.regConfig.registrarUri = f"sip:{SERVER};transport={TRANSPORT}"
        config.sipConfig.proxies.append(f"sip:{SERVER};lr;transport={TRANSPORT}")
        config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, password))
        config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_ALWAYS
        config.callConfig.prackUse = pj.PJSUA_100REL_MANDATORY
        self.create(config)

    def onRegState(self, event):
        self.registered.append(event.code)

    def onIncomingCall(self, event):
        call = Call(self, event.callId)
        call.reply(180)
        self.incoming.append(call)

    def onInstantMessage(self, event):
        self.messages.append(event.msgBody)

    def onInstantMessageStatus(self, event):
        self.sent.append(event.code)

    def dial(self, user):
        call = Call(self)
        call.makeCall(f"sip:{user}@localhost", pj.CallOpParam(True))
        return call

    def rung(self, caller):
        """The call that arrives here, when its caller hears it ring."""
        until("it rings", lambda: self.incoming and "EARLY" in caller.states)
        return self.incoming.pop()


def talk(caller, account, user):
    near = caller.dial(user)
    far = account.rung(near)
    far.reply(200)
    until("they talk", lambda: near.media and far.media and all("CONFIRMED" in one.states for one in (near, far)))
    return near, far


def ended(*calls):
    until("they are told of the end", lambda: all("DISCONNECTED" in call.states for call in calls))


def scenario():
    alice, bob, carol = (Account(user, PASSWORDS[user]) for user in ("alice", "bob", "carol"))
    until("all register", lambda: all(one.registered == [200] for one in (alice, bob, carol)))
    guess = Account("alice", "guess")
    until("a wrong password is refused", lambda: guess.registered and guess.registered[0] in (401, 403))

    near, far = talk(alice, bob, "bob")
    near.setHold(pj.CallOpParam(True))
    held = [pj.PJSUA_CALL_MEDIA_LOCAL_HOLD], [pj.PJSUA_CALL_MEDIA_REMOTE_HOLD]
    until("the call is held", lambda: (near.media[-1], far.media[-1]) == held)
    options = pj.CallOpParam(True)
    options.opt.flag = pj.PJSUA_CALL_UNHOLD
    near.reinvite(options)
    active = [pj.PJSUA_CALL_MEDIA_ACTIVE], [pj.PJSUA_CALL_MEDIA_ACTIVE]
    until("and taken up", lambda: (near.media[-1], far.media[-1]) == active)
    seen = len(near.media)
    far.update(pj.CallOpParam(True))
    until("an UPDATE passes", lambda: len(near.media) > seen)
    tones = pj.CallSendDtmfParam()
    tones.method, tones.digits = pj.PJSUA_DTMF_METHOD_SIP_INFO, "12#"
    near.sendDtmf(tones)
    until("tones pass", lambda: far.tones == "12#")
    near.hangup(pj.CallOpParam(True))
    ended(near, far)

    near, far = talk(bob, alice, "alice")
    far.hangup(pj.CallOpParam(True))
    ended(near, far)

    near = alice.dial("bob")
    far = bob.rung(near)
    near.hangup(pj.CallOpParam(True))
    ended(near, far)
    until("a call is given up", lambda: near.code == 487)

    near = alice.dial("bob")
    bob.rung(near).reply(486)
    ended(near)
    until("bob is busy", lambda: near.code == 486)

    near, far = talk(alice, bob, "bob")
    far.xfer("sip:carol@localhost", pj.CallOpParam(True))
    until("a transfer arrives", lambda: carol.incoming)
    third = carol.incoming.pop()
    third.reply(200)
    until("its end is told", lambda: 200 in far.transfer)
    far.hangup(pj.CallOpParam(True))
    ended(near, far)
    third.hangup(pj.CallOpParam(True))
    ended(third)

    # The library has four calls at most, so the one to be joined is a number of the server.
    first, far = talk(alice, bob, "bob")
    second = alice.dial("echo")
    until("echo answers", lambda: "CONFIRMED" in second.states and second.media)
    first.xferReplaces(second, pj.CallOpParam(True))
    until("bob is joined with it", lambda: 200 in first.transfer)
    ended(second)
    endpoint.hangupAllCalls()
    ended(first, far)

    settings = pj.BuddyConfig()
    settings.uri, settings.subscribe = "sip:bob@localhost", False
    buddy = pj.Buddy()
    kept.append(buddy)
    buddy.create(alice, settings)
    text = pj.SendInstantMessageParam()
    text.content = "Grüße"
    buddy.sendInstantMessage(text)
    until("a message passes", lambda: bob.messages == ["Grüße"] and 200 in alice.sent)

    alice.setRegistration(False)
    until("a registration is taken back", lambda: len(alice.registered) == 2)


endpoint.libCreate()
config = pj.EpConfig()
config.logConfig.level = config.logConfig.consoleLevel = 4 if "VERBOSE" in os.environ else 1
config.uaConfig.threadCnt, config.uaConfig.mainThreadOnly = 0, True
endpoint.libInit(config)
here = pj.TransportConfig()
here.port, here.boundAddress = 0, "127.0.0.1"
endpoint.transportCreate({"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP}[TRANSPORT], here)
endpoint.libStart()
endpoint.audDevManager().setNullDev()
scenario()
print("all is well", flush=True)
# What is left is the process's, not the library's to take down: that waits for answers.
os._exit(0)
