// What the windows do, scenario by scenario. Each fails with an error on anything it does not expect.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, equal } from './phones.mjs';

const PASSWORDS = { alice: 'wonderland', bob: 'builder', carol: 'singer' };

const registered = (phones, ...users) => Promise.all(users.map((user) => phones.registered(user, PASSWORDS[user])));

/** A wrong password is refused, the right one taken; once unregistered, there is nobody to reach. */
export async function register(phones) {
  const bob = await phones.registered('bob', PASSWORDS.bob);
  const wrong = await phones.phone('alice');
  await wrong.start('guess');
  equal((await wrong.until('refused')).status, 401);
  await wrong.tell('stop');
  const alice = await phones.registered('alice', PASSWORDS.alice);
  await alice.tell('call', bob.uri, false);
  await bob.until('incoming');
  await bob.tell('end', { status_code: 480 });
  equal((await alice.until('failed')).cause, 'Unavailable');
  await bob.tell('unregister');
  await bob.until('unregistered');
  await alice.tell('call', bob.uri, false);
  equal((await alice.until('failed')).originator, 'remote');
  equal(bob.events.filter(({ name }) => name === 'incoming'), []);
}

/** Calls with sound and picture, ended by the one and by the other. */
export async function call(phones) {
  const [alice, bob] = await registered(phones, 'alice', 'bob');
  await connect(alice, bob);
  await bob.tell('end');
  equal((await alice.until('ended')).originator, 'remote');
  equal((await bob.until('ended')).originator, 'local');
  await connect(bob, alice);
  await bob.tell('end');
  equal((await alice.until('ended')).originator, 'remote');
}

/** Calls that come to nothing. */
export async function unanswered(phones) {
  const [alice, bob] = await registered(phones, 'alice', 'bob');
  await alice.tell('call', bob.uri, false);
  await bob.until('incoming');
  await alice.until('progress');
  await alice.tell('end');
  equal((await alice.until('failed')).cause, 'Canceled');
  equal(await bob.until('failed'), { name: 'failed', originator: 'remote', cause: 'Canceled' });
  await alice.tell('call', bob.uri, false);
  await bob.until('incoming');
  await bob.tell('end', { status_code: 486 });
  equal(await alice.until('failed'), { name: 'failed', originator: 'remote', cause: 'Busy' });
  await bob.until('failed');
  await alice.tell('call', bob.uri, false);
  await bob.until('incoming');
  await bob.tell('end', { status_code: 603 });
  equal(await alice.until('failed'), { name: 'failed', originator: 'remote', cause: 'Rejected' });
}

/** Hold by either side, and tones. */
export async function hold(phones) {
  const [alice, bob] = await registered(phones, 'alice', 'bob');
  await connect(alice, bob, false);
  for (const [holder, held] of [[alice, bob], [bob, alice]]) {
    await holder.tell('hold');
    equal((await holder.until('hold')).originator, 'local');
    equal((await held.until('hold')).originator, 'remote');
    await held.settle('directions', ([direction]) => direction === 'recvonly');
    await holder.settle('directions', ([direction]) => direction === 'sendonly');
    await holder.tell('unhold');
    equal((await holder.until('unhold')).originator, 'local');
    equal((await held.until('unhold')).originator, 'remote');
    await holder.settle('directions', ([direction]) => direction === 'sendrecv');
    await Promise.all([alice.hears('audio'), bob.hears('audio')]);
  }
  for (const key of ['4', '#']) {
    await alice.tell('tone', key);
    equal((await bob.until('tone')).tone, key);
  }
  await alice.tell('end');
  await bob.until('ended');
}

/** Bob is passed on from alice to carol. */
export async function transfer(phones) {
  const [alice, bob, carol] = await registered(phones, 'alice', 'bob', 'carol');
  await connect(alice, bob, false);
  await alice.tell('transfer', carol.uri);
  equal((await carol.until('incoming')).from, 'bob');
  await carol.tell('answer', true);
  await alice.until('transfer accepted');
  await carol.until('confirmed');
  await alice.tell('end');
  await bob.until('ended');
  await Promise.all([bob.hears('audio', 'video'), carol.hears('audio', 'video')]);
  await carol.tell('end');
  equal((await bob.until('ended')).originator, 'remote');
}

/** Text, there and back, and to nobody. */
export async function message(phones) {
  const [alice, bob] = await registered(phones, 'alice', 'bob');
  const texts = ['Guten Tag', 'Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich 🥊', 'x'.repeat(5000)];
  for (const text of texts) {
    await alice.tell('message', bob.uri, text);
    equal(await bob.until('message'), { name: 'message', from: 'alice', text });
    await alice.until('delivered');
  }
  await bob.tell('message', alice.uri, 'und zurück');
  equal((await alice.until('message')).text, 'und zurück');
  await alice.tell('message', 'sip:nobody@localhost', 'hello?');
  equal((await alice.until('not delivered')).status >= 400, true);
}

/** A socket that dies in mid-call: the call goes on with the next one. */
export async function recover(phones) {
  const [alice, bob] = await registered(phones, 'alice', 'bob');
  await connect(alice, bob, false);
  await bob.tell('kill');
  await bob.until('disconnected');
  await bob.until('registered');
  await Promise.all([alice.hears('audio'), bob.hears('audio')]);
  await bob.tell('end');
  equal((await alice.until('ended')).originator, 'remote');
  await connect(alice, bob, false);
  await alice.tell('end');
  await bob.until('ended');
}

/** SIP.js among itself and with JsSIP. */
export async function sipjs(phones) {
  const wrong = await phones.phone('alice', 'sipjs');
  await wrong.start('guess');
  equal((await wrong.until('refused')).status, 401);
  const [alice, bob] = await Promise.all(
    ['alice', 'bob'].map((user) => phones.registered(user, PASSWORDS[user], 'sipjs')));
  const carol = await phones.registered('carol', PASSWORDS.carol);
  const up = async (caller, callee, options) => {
    await caller.tell('call', callee.uri, options);
    await callee.until('incoming');
    await callee.tell('answer');
    await Promise.all([caller.until('confirmed'), callee.until('confirmed')]);
    await Promise.all([caller.hears('audio'), callee.hears('audio')]);
  };
  // Both ways, with and without an offer in the INVITE.
  await up(alice, bob);
  await alice.tell('tone', '5');
  equal((await bob.until('info')).body.startsWith('Signal=5'), true);
  await bob.tell('end');
  await Promise.all([alice.until('ended'), bob.until('ended')]);
  await up(bob, alice, { late: true });
  await bob.tell('end');
  await Promise.all([alice.until('ended'), bob.until('ended')]);
  // Early media, reliably.
  await alice.tell('call', bob.uri);
  await bob.until('incoming');
  await bob.tell('ring');
  while ((await alice.until('progress')).status !== 183);
  await bob.tell('answer');
  await alice.until('confirmed');
  await alice.tell('end');
  await bob.until('ended');
  // Given up and refused.
  await alice.tell('call', bob.uri);
  await bob.until('incoming');
  await alice.until('progress');
  await alice.tell('cancel');
  equal((await alice.until('failed')).status, 487);
  await bob.until('ended');
  await alice.tell('call', bob.uri);
  await bob.until('incoming');
  await bob.tell('refuse', 486);
  equal((await alice.until('failed')).status, 486);
  // Attended transfer: bob calls alice's peer by the Contact in Refer-To, which no DNS knows.
  const dave = await phones.registered('carol', PASSWORDS.carol, 'sipjs');
  await carol.tell('unregister');
  await carol.until('unregistered');
  await up(alice, bob);
  await up(alice, dave);
  await alice.tell('join');
  equal((await dave.until('incoming')).from, 'bob');
  await dave.until('confirmed');
  while ((await alice.until('notified')).line !== 'SIP/2.0 200 OK');
  await Promise.all([bob.hears('audio'), dave.hears('audio')]);
  await dave.tell('end');
  await bob.until('ended');
  // Blind transfer, and text to a JsSIP window and back.
  await alice.tell('message', bob.uri, 'Grüße');
  equal(await bob.until('message'), { name: 'message', from: 'alice', text: 'Grüße' });
  await alice.until('delivered');
  await dave.tell('unregister');
  await dave.until('unregistered');
  const jssip = await phones.registered('carol', PASSWORDS.carol);
  await jssip.tell('message', bob.uri, 'von drüben');
  equal((await bob.until('message')).text, 'von drüben');
  await up(alice, jssip);
  await alice.tell('end');
  await jssip.until('ended');
  await up(alice, bob);
  await bob.tell('transfer', jssip.uri);
  equal((await jssip.until('incoming')).from, 'alice');
  await jssip.tell('answer', false);
  while ((await bob.until('notified')).line !== 'SIP/2.0 200 OK');
  await jssip.until('confirmed');
  await jssip.tell('end');
  await alice.until('ended');
}

/** Calls somebody who is no browser, and hangs up. Media never comes up: the other side has none. */
export async function callOut(phones, { target }) {
  const alice = await phones.registered('alice', PASSWORDS.alice);
  await alice.tell('call', target, false);
  await alice.until('progress');
  await alice.until('confirmed');
  await alice.tell('end');
  await alice.until('ended');
}

/** The telephone on the page of the server, by what a person sees of it. */
export async function page({ browser }, { server }) {
  const address = server.replace(/^ws/, 'http');
  const errors = [];
  const open = async (name) => {
    const page = await (await browser.newContext({ permissions: ['microphone', 'camera'] })).newPage();
    page.on('pageerror', (error) => errors.push(`${name}: ${error}`));
    page.setDefaultTimeout(60000);
    await page.goto(address);
    const press = (text) => page.getByRole('button', { name: text, exact: true }).click();
    const fill = (label, text) => page.getByLabel(label, { exact: true }).fill(text);
    const reads = (selector, text) => page.locator(selector).filter({ hasText: text }).first().waitFor();
    const register = async (password) => {
      await fill('Name', name);
      await fill('Password, if you have one', password);
      await press('Register');
    };
    await reads('#status', 'Ready: JsSIP');
    return { page, press, fill, reads, register };
  };
  const [alice, bob, carol] = await Promise.all([open('alice'), open('bob'), open('carol')]);
  await alice.register('guess');
  await alice.reads('#status', 'Not registered: ');
  await Promise.all([
    alice.register(PASSWORDS.alice), bob.register(PASSWORDS.bob), carol.register(PASSWORDS.carol),
  ]);
  await Promise.all([[alice, 'alice'], [bob, 'bob'], [carol, 'carol']].map(
    ([window, name]) => window.reads('#status', `Registered as ${name}@localhost.`)));
  await alice.fill('Name or SIP address', 'bob');
  await alice.fill('Message', 'Hello <b>Bob</b>');
  await alice.press('Send');
  await bob.reads('#messages', 'from alice: Hello <b>Bob</b>');
  await alice.press('Call with video');
  await bob.reads('.call h3', 'From alice');
  await alice.reads('.call .state', 'ringing there');
  await bob.press('Answer with video');
  await Promise.all([alice, bob].map((window) => window.reads('.call .state', 'talking')));
  await Promise.all([alice, bob].map(({ page }) =>
    page.waitForFunction(() => document.querySelector('video.remote').videoWidth > 0)));
  await alice.press('Hold');
  await bob.reads('.call .state', 'put on hold by the other side');
  await alice.press('Go on');
  await bob.reads('.call .state', /^talking/);
  await alice.press('5');
  await bob.reads('.call .state', 'the other side pressed 5');
  await bob.fill('Name or SIP address', 'carol');
  await bob.press('Transfer to the name above');
  await carol.reads('.call h3', 'From alice');
  await carol.press('Answer');
  await carol.reads('.call .state', 'talking');
  await bob.reads('.call .state', 'ended by you');
  await carol.press('Hang up');
  await alice.reads('.call .state', 'ended by the other side');
  await alice.reads('#ladder', 'INVITE sip:bob@localhost');
  const shown = await alice.page.locator('#ladder').textContent();
  equal(/response="/.test(shown), false);
  await carol.press('Unregister');
  await carol.reads('#status', 'Not registered.');
  equal(errors, []);
}

/** The page where the server has no JsSIP: from the CDN, which is played here; and what it says when that is wrong or away. */
export async function withoutModules({ browser }, { server, modules }) {
  const open = async (answer) => {
    const page = await (await browser.newContext()).newPage();
    page.setDefaultTimeout(60000);
    await page.route('**/node_modules/**', (route) => route.fulfill({ status: 404, body: 'There is no such page.' }));
    await page.route('https://cdn.jsdelivr.net/**', (route) => {
      const [, name, path] = /^https:\/\/[^/]+\/npm\/([^@]+)@[^/]+\/(.*)$/.exec(route.request().url());
      return answer(route, `${name}/${path}`);
    });
    await page.goto(server.replace(/^ws/, 'http'));
    return page;
  };
  const text = (path) => readFileSync(join(modules, path), 'utf8');
  const serve = (route, body) => route.fulfill({ body, headers: { 'Access-Control-Allow-Origin': '*' } });
  const good = await open((route, path) => serve(route, text(path)));
  await good.locator('#status').filter({ hasText: /^Ready: JsSIP .* from cdn.jsdelivr.net/ }).waitFor();
  await good.getByLabel('Name', { exact: true }).fill('alice');
  await good.getByLabel('Password, if you have one', { exact: true }).fill(PASSWORDS.alice);
  await good.getByRole('button', { name: 'Register', exact: true }).click();
  await good.locator('#status').filter({ hasText: 'Registered as alice@localhost.' }).waitFor();
  const wrong = [
    await open((route, path) => serve(route, path === 'jssip/lib/UA.js' ? `${text(path)} ` : text(path))),
    await open((route) => route.abort()),
  ];
  for (const page of wrong) {
    await page.locator('#status').filter({ hasText: 'Not working.' }).waitFor();
    const problem = await page.locator('#problem').textContent();
    for (const said of ['JsSIP', 'is missing', 'from this server', 'from cdn.jsdelivr.net', 'npm ci', '--web-modules']) {
      equal([said, problem.includes(said)], [said, true]);
    }
    equal(await page.getByRole('button', { name: 'Register', exact: true }).isDisabled(), true);
  }
}

/** Is called by somebody who is no browser, who hangs up. */
export async function calledIn(phones) {
  const alice = await phones.registered('alice', PASSWORDS.alice);
  console.log('waiting for a call');
  await alice.until('incoming');
  await alice.tell('answer', false);
  await alice.until('confirmed');
  equal((await alice.until('ended')).originator, 'remote');
}
