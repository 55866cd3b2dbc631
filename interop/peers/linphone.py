"""Three telephones of Linphone against a server: python linphone.py TRANSPORT ADDRESS. The first step that fails ends it.

The users are alice, bob and carol of the domain localhost, with the passwords that the environment gives in PASSWORDS. The
program wants a terminal and is given one; what it does is read from its log.
"""

import os
import pty
import socket
import subprocess
import sys
import time

TRANSPORT, SERVER = sys.argv[1:3]
PASSWORDS = dict(pair.split(":") for pair in os.environ["PASSWORDS"].split())
# No step may end later than this, which is before whoever started this loses patience.
END = time.time() + 100

SETTINGS = """\
[sip]
default_proxy=0
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port=0
use_ipv6=0
[sound]
playback_dev_id=
[rtp]
audio_rtp_port={rtp}
[proxy_0]
reg_proxy=<sip:{server};transport={transport}>
reg_route=<sip:{server};transport={transport};lr>
reg_identity=sip:{user}@localhost
reg_expires=600
reg_sendregister=1
publish=0
[auth_info_0]
username={user}
passwd={password}
realm=localhost
domain=localhost
"""


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Phone:
    def __init__(self, user, password):
        folder = os.path.abspath(f"{user}-{password}-{TRANSPORT}")
        # It does not make the folders that it keeps things in.
        for below in ("linphone", ".local/share/linphone"):
            os.makedirs(f"{folder}/{below}")
        settings, self.log, self.read = f"{folder}/settings", f"{folder}/log", 0
        port = free_port(socket.SOCK_DGRAM if TRANSPORT == "udp" else socket.SOCK_STREAM)
        with open(settings, "w") as file:
            udp, tcp = (port, 0) if TRANSPORT == "udp" else (0, port)
            values = {"udp": udp, "tcp": tcp, "rtp": free_port(socket.SOCK_DGRAM), "server": SERVER, "transport": TRANSPORT}
            file.write(SETTINGS.format(user=user, password=password, **values))
        self.user, (self.keys, screen) = user, pty.openpty()
        home = {name: folder for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
        command = ["linphonec", "-c", settings, "-l", self.log, "-d", "6"]
        self.process = subprocess.Popen(
            command, stdin=screen, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **home}
        )

    def type(self, command):
        os.write(self.keys, f"{command}\n".encode())

    def until(self, *texts):
        """Waits for the first of these in what its log has said since the last one."""
        while time.time() < END:
            log = ""
            if os.path.exists(self.log):
                with open(self.log, errors="replace") as file:
                    log = file.read()
            found = [log.find(text, self.read) for text in texts]
            if any(at >= 0 for at in found):
                self.read = min(at + len(text) for at, text in zip(found, texts) if at >= 0)
                print(f"ok: {self.user}: {texts[0]}", flush=True)
                return
            time.sleep(0.02)
        raise SystemExit(f"FAIL: {self.user}: {texts}")


def talk(caller, callee):
    caller.type(f"call sip:{callee.user}@localhost")
    callee.until("LinphoneCallIncomingReceived")
    caller.until("LinphoneCallOutgoingRinging")
    callee.type("answer")
    caller.until("to LinphoneCallStreamsRunning")
    callee.until("to LinphoneCallStreamsRunning")


def ended(*phones):
    for phone in phones:
        phone.until("to LinphoneCallReleased")


def scenario(phones):
    for user, password in PASSWORDS.items():
        phones.append(Phone(user, password))
    phones.append(Phone("alice", "guess"))
    alice, bob, carol, guess = phones
    for phone in (alice, bob, carol):
        phone.until("LinphoneRegistrationOk")
    guess.until("LinphoneRegistrationFailed", "Authentication pending")

    talk(alice, bob)
    alice.type("pause")
    alice.until("to LinphoneCallPaused")
    bob.until("to LinphoneCallPausedByRemote")
    alice.type("resume 1")
    alice.until("to LinphoneCallStreamsRunning")
    bob.until("to LinphoneCallStreamsRunning")
    alice.type("terminate")
    ended(bob, alice)
    talk(bob, alice)
    alice.type("terminate")
    ended(bob, alice)

    bob.type("call sip:alice@localhost")
    alice.until("LinphoneCallIncomingReceived")
    bob.until("LinphoneCallOutgoingRinging")
    bob.type("terminate")
    ended(alice, bob)
    bob.type("call sip:alice@localhost")
    alice.until("LinphoneCallIncomingReceived")
    alice.type("terminate")
    ended(alice, bob)

    talk(alice, bob)
    bob.type("transfer sip:carol@localhost")
    carol.until("LinphoneCallIncomingReceived")
    carol.type("answer")
    carol.until("to LinphoneCallStreamsRunning")
    carol.type("terminate")
    ended(carol, alice)

    alice.type("chat sip:bob@localhost hello there")
    bob.until("hello there")


phones = []
try:
    scenario(phones)
    print("all is well", flush=True)
finally:
    for phone in phones:
        phone.process.kill()
        phone.process.wait()
