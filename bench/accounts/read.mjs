// Times rounds of reading accounts: one line each, "name milliseconds sum". In
// the rounds called "fresh" every account has changed since the last one;
// otherwise @polkadot/api answers from the values that it decoded before.
import { readFileSync } from 'node:fs';
import { ApiPromise, WsProvider } from '@polkadot/api';

const [url, file, rounds] = process.argv.slice(2);
const ids = readFileSync(file, 'utf8').trim().split('\n');
const provider = new WsProvider(url);
const api = await ApiPromise.create({ provider, noInitWarn: true });
const ways = {
  multi: () => api.query.system.account.multi(ids),
  queryMulti: () => new Promise((resolve, reject) => {
    let stop;
    api.queryMulti(ids.map(id => [api.query.system.account, id]), all => {
      resolve(all);
      if (stop) stop(); else stop = true;
    }).then(f => { if (stop) f(); else stop = f; }, reject);
  }),
};
const sum = all => all.reduce((n, a) => n + a.data.free.toBigInt(), 0n);

const time = async (name, read) => {
  const start = performance.now();
  const all = await read();
  console.log(name, (performance.now() - start).toFixed(3), sum(all).toString());
};

// change gives every account another nonce, and nothing else.
const keys = ids.map(id => api.query.system.account.key(id));
const values = (await provider.send('state_queryStorageAt', [keys]))[0].changes.map(([, v]) => v);
let nonce = 0;
const change = async () => {
  const le = (++nonce).toString(16).padStart(8, '0').match(/../g).reverse().join('');
  await provider.send('dev_setStorage', [keys.map((k, i) => [k, `0x${le}${values[i].slice(10)}`])]);
  await provider.send('dev_mineBlocks', [1]);
};

await time('first', ways.multi);
for (const read of Object.values(ways)) await read();
for (let i = 0; i < Number(rounds); i++) {
  for (const [name, read] of Object.entries(ways)) {
    await time(name, read);
    await change();
    await time(`${name}-fresh`, read);
  }
}
await change();
await api.disconnect();
