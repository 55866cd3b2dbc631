// Browser windows with a telephone each, and what happens in them.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';

/** How long anything may take. */
const LIMIT = 60000;

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream', '--disable-features=WebRtcHideLocalIpsWithMdns',
];

/** A browser with an empty profile, and a server of the one page that its windows show. */
export async function open({ modules, chromium, server, domain = 'localhost' }) {
  const { chromium: driver } = createRequire(join(modules, 'x'))('playwright-core');
  const browser = await driver.launch({ executablePath: chromium, headless: true, args: FLAGS });
  const script = bundle(modules) + readFileSync(new URL('page.js', import.meta.url), 'utf8');
  const web = createServer(({ url }, response) => {
    const isScript = url.endsWith('.js');
    response.setHeader('Content-Type', isScript ? 'text/javascript; charset=utf-8' : 'text/html; charset=utf-8');
    const kind = url === '/sipjs' ? 'type="module" src="sipjs.js"' : 'src="page.js"';
    response.end(!isScript ? `<!doctype html><title>telephone</title><script ${kind}></script>`
      : url === '/page.js' ? script
        : url === '/sipjs.js' ? readFileSync(new URL('sipjs.js', import.meta.url))
          // SIP.js comes as modules that a browser loads as they are.
          : readFileSync(join(modules, new URL(url, 'http://x').pathname)));
  });
  // `localhost` by name: a page from there may use microphone and camera.
  await new Promise((listening) => web.listen(0, 'localhost', listening));
  const address = `http://localhost:${web.address().port}/`;
  const phones = [];
  return {
    browser,
    phones,
    /** A window with the telephone of `user`, not started. Its library is JsSIP, or SIP.js. */
    async phone(user, library = '') {
      const page = await (await browser.newContext({ permissions: ['microphone', 'camera'] })).newPage();
      const phone = new Phone(user, page, server, domain);
      phones.push(phone);
      await page.exposeFunction('report', (name, data) => phone.take(name, data));
      page.on('pageerror', (error) => phone.take('error in the page', { error: String(error) }));
      await page.goto(address + library);
      if (library) await phone.until('loaded');
      return phone;
    },
    /** The same, registered. */
    async registered(user, password, library) {
      const phone = await this.phone(user, library);
      await phone.start(password);
      await phone.until('registered');
      return phone;
    },
    async close() {
      await browser.close();
      web.close();
    },
  };
}

class Phone {
  /** What happened and was not asked for yet. */
  events = [];
  /** The SIP messages of this window, in order. */
  wire = [];
  #waiting;

  constructor(user, page, server, domain) {
    Object.assign(this, { user, page, server, domain, uri: `sip:${user}@${domain}` });
  }

  take(name, data) {
    if (name === 'wire') {
      this.wire.push(data);
      return;
    }
    this.events.push({ name, ...data });
    this.#waiting?.();
  }

  /** Waits for an event of this name; those before it are passed over. */
  async until(name) {
    const end = Date.now() + LIMIT;
    const passed = [];
    for (;;) {
      while (this.events.length) {
        const event = this.events.shift();
        if (event.name === name) return event;
        passed.push(event);
      }
      const left = end - Date.now();
      if (left <= 0) throw new Error(`${this.user} waited for "${name}"; there was ${JSON.stringify(passed)}`);
      await new Promise((go) => {
        const timer = setTimeout(go, left);
        this.#waiting = () => { clearTimeout(timer); go(); };
      });
    }
  }

  start(password) {
    const { server, user, domain } = this;
    return this.page.evaluate((settings) => window.phone.start(settings), { server, user, domain, password });
  }

  /** Tells the telephone in the window to do something. */
  tell(what, ...values) {
    return this.page.evaluate(([name, given]) => { window.phone[name](...given); }, [what, values]);
  }

  ask(what) {
    return this.page.evaluate((name) => window.phone[name](), what);
  }

  /** Waits until `good` says yes to what the window answers. */
  async settle(what, good) {
    const end = Date.now() + LIMIT;
    for (;;) {
      const answer = await this.ask(what);
      if (good(answer)) return answer;
      if (Date.now() > end) throw new Error(`${this.user}: ${what} stays ${JSON.stringify(answer)}`);
      await new Promise((go) => setTimeout(go, 50));
    }
  }

  /** Waits until more media of these kinds comes in than there was. */
  async hears(...kinds) {
    const before = await this.ask('received');
    await this.settle('received', (now) => kinds.every((kind) => (now[kind] ?? 0) > (before[kind] ?? 0)));
  }
}

/** A call from one window to another that is up, with media both ways. */
export async function connect(caller, callee, video = true) {
  await caller.tell('call', callee.uri, video);
  const { from } = await callee.until('incoming');
  equal(from, caller.user);
  await caller.until('progress');
  await callee.tell('answer', video);
  await caller.until('confirmed');
  await callee.until('confirmed');
  const kinds = video ? ['audio', 'video'] : ['audio'];
  await Promise.all([caller.hears(...kinds), callee.hears(...kinds)]);
}

/** Fails unless both are the same, as JSON. */
export function equal(found, wanted) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${a} is not ${b}`);
}
