// Loads JsSIP, which is published as CommonJS modules: from the node_modules of this server if it has them, else from a
// CDN, where every file must have the hash that jssip.json tells.

const NEEDS = /\brequire\(['"]([^'"]+)['"]\)/g;

/** Where a module that `file` requires is: `package/path`. */
function resolve(file, name, packages) {
  if (!name.startsWith('.')) {
    if (!packages[name]) throw new Error(`${file} needs ${name}, which is not known`);
    return `${name}/${packages[name].main}`;
  }
  const parts = file.split('/').slice(0, -1);
  for (const part of name.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  const path = parts.join('/');
  return /\.(js|json)$/.test(path) ? path : `${path}.js`;
}

/** Fetches a module and everything it requires, which may require it in turn: a map of path to text. */
async function fetchAll(entry, packages, get) {
  const found = new Map();
  let wanted = new Set([entry]);
  while (wanted.size) {
    const next = new Set();
    await Promise.all([...wanted].map(async (path) => {
      const text = await get(path);
      found.set(path, text);
      if (path.endsWith('.json')) return;
      for (const [, name] of text.matchAll(NEEDS)) next.add(resolve(path, name, packages));
    }));
    wanted = new Set([...next].filter((path) => !found.has(path)));
  }
  return found;
}

/** Runs the entry module; each module runs once, when it is first required. */
function run(entry, sources, packages) {
  const cache = new Map();
  const require = (path) => {
    if (cache.has(path)) return cache.get(path).exports;
    const module = { exports: {} };
    cache.set(path, module);
    const text = sources.get(path);
    if (path.endsWith('.json')) module.exports = JSON.parse(text);
    else new Function('module', 'exports', 'require', `${text}\n//# sourceURL=${path}`)(
      module, module.exports, (name) => require(resolve(path, name, packages)));
    return module.exports;
  };
  return require(entry);
}

async function get(url, options) {
  const response = await fetch(url, options);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.text();
}

/** JsSIP and where it came from. */
export async function loadJsSIP() {
  const { cdn, packages } = await (await fetch('jssip.json')).json();
  const entry = `jssip/${packages.jssip.main}`;
  const local = (path) => get(`node_modules/${path}`);
  const remote = (path) => {
    const [name, ...rest] = path.split('/');
    const integrity = packages[name]?.files[rest.join('/')];
    if (!integrity) throw new Error(`${path} has no hash in jssip.json`);
    return get(`${cdn}${name}@${packages[name].version}/${rest.join('/')}`, { integrity, mode: 'cors', credentials: 'omit' });
  };
  const problems = [];
  for (const [place, from] of [['this server', local], [new URL(cdn).host, remote]]) {
    try {
      const sources = await fetchAll(entry, packages, from);
      return { JsSIP: run(entry, sources, packages), place };
    } catch (error) {
      problems.push(`from ${place}: ${error.message}`);
    }
  }
  throw new Error(problems.join('\n'));
}
