// Runs one scenario: node run.mjs '{"scenario", "modules", "chromium", "server", "wire"}'. The SIP messages of the windows
// go to the file `wire`, each behind a line of user, direction and length in bytes. Ends with 0 if all went as it should.

import { writeFileSync } from 'node:fs';
import { open } from './phones.mjs';
import * as scenarios from './scenarios.mjs';

const settings = JSON.parse(process.argv[2]);
const phones = await open(settings);
let failure;
try {
  await scenarios[settings.scenario](phones, settings);
  for (const { user, events } of phones.phones) {
    const error = events.find(({ name }) => name === 'error in the page');
    if (error) throw new Error(`${user}: ${error.error}`);
  }
} catch (error) {
  failure = error;
}
const messages = phones.phones.flatMap(({ user, wire }) =>
  wire.map(({ direction, text }) => `${user} ${direction} ${Buffer.byteLength(text)}\n${text}`));
writeFileSync(settings.wire, messages.join(''));
if (failure) {
  for (const { user, wire } of phones.phones) {
    for (const { direction, text } of wire) console.log(`--- ${user} ${direction}\n${text}`);
  }
  console.log(failure.stack);
}
await phones.close();
process.exit(failure ? 1 : 0);
