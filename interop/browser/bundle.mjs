// JsSIP as one script: it is published as CommonJS modules, which a browser does not load.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const NEEDS = /\brequire\(['"]([^'"]+)['"]\)/g;

// Packages that Node has inside, and those whose entry differs in a browser.
const IN_A_BROWSER = { events: 'events/events.js', debug: 'debug/src/browser.js' };

/** The text of a script that sets `JsSIP`, from this `node_modules`. */
export function bundle(modules) {
  const found = new Map();
  const visit = (file) => {
    if (found.has(file)) return;
    const module = { text: readFileSync(file, 'utf8'), needs: {} };
    found.set(file, module);
    if (file.endsWith('.json')) {
      module.text = `module.exports = ${module.text};`;
      return;
    }
    for (const [, name] of module.text.matchAll(NEEDS)) {
      const needed = IN_A_BROWSER[name] ? join(modules, IN_A_BROWSER[name]) : createRequire(file).resolve(name);
      module.needs[name] = needed;
      visit(needed);
    }
  };
  const entry = createRequire(join(modules, 'x')).resolve('jssip');
  visit(entry);
  const parts = [...found].map(([file, { text, needs }]) =>
    `${JSON.stringify(file)}: [${JSON.stringify(needs)}, function (module, exports, require) {${text}\n}],\n`);
  return `window.JsSIP = (() => {
const modules = {
${parts.join('')}};
const loaded = {};
const load = (file) => {
  if (loaded[file]) return loaded[file].exports;
  const module = loaded[file] = { exports: {} };
  const [needs, run] = modules[file];
  run.call(module.exports, module, module.exports, (name) => load(needs[name]));
  return module.exports;
};
return load(${JSON.stringify(entry)});
})();
`;
}
