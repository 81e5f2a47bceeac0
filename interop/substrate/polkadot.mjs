// What @polkadot/api must be able to do with the embedded chain.
//
//   node polkadot.mjs FOLDER-WITH-NODE_MODULES ws://127.0.0.1:9944
//
// The chain must be fresh, seal at once, and finalise at once.
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(process.argv[2], 'x.js'));
const { ApiPromise, WsProvider, HttpProvider, Keyring } = require('@polkadot/api');
const url = process.argv[3];
const MNEMONIC = 'bottom drive obey lake curtain smoke basket hold race lonely fit walk'; // public, for development
const ONE = 10n ** 18n;

let failures = 0;
async function check(name, f) {
  try {
    const more = await Promise.race([f(), new Promise((_, no) => setTimeout(() => no(new Error('timeout')), 60_000).unref())]);
    console.log(`ok ${name}${more ? ` (${more})` : ''}`);
  } catch (e) {
    failures++;
    console.log(`not ok ${name}: ${String(e?.stack ?? e).split('\n').slice(0, 3).join(' | ')}`);
  }
}
function must(cond, text) {
  if (!cond) throw new Error(text);
}

const provider = new WsProvider(url);
const api = await ApiPromise.create({ provider, noInitWarn: true });
const keyring = new Keyring({ type: 'ethereum' });
const key = (i) => keyring.addFromUri(`${MNEMONIC}/m/44'/60'/0'/0/${i}`);
const cold = [0, 1, 2, 3].map(key);
const hot = [10, 11, 12, 13].map(key);
const rpc = (method, ...params) => provider.send(method, params);
const mine = (n) => rpc('dev_mineBlocks', n);

// send signs and submits, waits for the final block, and returns events and statuses.
function send(tx, who, options = {}) {
  return new Promise((resolve, reject) => {
    const statuses = [];
    tx.signAndSend(who, options, (r) => {
      statuses.push(r.status.type);
      if (r.status.isFinalized) resolve({ events: r.events, error: r.dispatchError, statuses, block: r.status.asFinalized, txHash: r.txHash });
      else if (r.isError) reject(new Error(`status ${r.status.type}`));
    }).catch(reject);
  });
}
async function ok(tx, who) {
  const r = await send(tx, who);
  if (r.error) {
    const d = r.error.isModule ? api.registry.findMetaError(r.error.asModule) : { section: '', name: r.error.toString() };
    throw new Error(`${tx.method.section}.${tx.method.method}: ${d.section}.${d.name}`);
  }
  must(r.events.some(({ event }) => api.events.system.ExtrinsicSuccess.is(event)), 'no ExtrinsicSuccess');
  return r;
}
async function fails(tx, who, name) {
  const r = await send(tx, who);
  must(r.error?.isModule, `want ${name}, got ${r.error ?? 'success'}`);
  const d = api.registry.findMetaError(r.error.asModule);
  must(d.name === name, `want ${name}, got ${d.name}`);
}
const free = async (a) => (await api.query.system.account(a.address ?? a)).data.free.toBigInt();

await check('connects and reads the runtime version', () => {
  must(api.runtimeVersion.specVersion.toNumber() >= 1, 'no spec version');
  return `${api.runtimeVersion.specName} ${api.runtimeVersion.specVersion}, ${api.runtimeMetadata.asLatest.pallets.length} pallets`;
});
await check('chain properties are those of an Ethereum-like chain', async () => {
  const p = await api.rpc.system.properties();
  must(p.isEthereum.isTrue && p.tokenSymbol.unwrap()[0].toString() === 'TENSOR' && p.tokenDecimals.unwrap()[0].toNumber() === 18, p.toString());
});
await check('system methods', async () => {
  const all = await Promise.all([api.rpc.system.chain(), api.rpc.system.name(), api.rpc.system.version(), api.rpc.system.health(),
    api.rpc.system.chainType(), api.rpc.rpc.methods()]);
  must(all[5].methods.length > 50, 'rpc_methods is short');
  must(all[4].isDevelopment, `chain type ${all[4]}`);
});
await check('metadata 15 by runtime call', async () => {
  const versions = (await api.call.metadata.metadataVersions()).map(Number);
  must(versions.includes(14) && versions.includes(15), versions.join());
  must((await api.call.metadata.metadataAtVersion(15)).isSome, 'no version 15');
});
await check('genesis block and header', async () => {
  const h = await api.rpc.chain.getBlockHash(0);
  must(h.eq(api.genesisHash), 'another genesis');
  must((await api.rpc.chain.getHeader(h)).number.toNumber() === 0, 'number');
});
await check('a transfer: ready, in block, finalized, with events', async () => {
  const before = await free(hot[0]);
  const r = await ok(api.tx.balances.transferAllowDeath(hot[0].address, 2n * ONE), cold[0]);
  must((await free(hot[0])) - before === 2n * ONE, 'the balance did not change');
  must(/^Ready,(InBlock,)?Finalized$/.test(r.statuses.join()), r.statuses.join()); // the client may skip InBlock when both come at once
  must(r.events.some(({ event }) => api.events.balances.Transfer.is(event)), 'no Transfer');
  must(r.events.some(({ event }) => api.events.transactionPayment.TransactionFeePaid.is(event)), 'no TransactionFeePaid');
  const block = await api.rpc.chain.getBlock(r.block);
  must(block.block.extrinsics.some((x) => x.hash.eq(r.txHash) && x.signer.toString() === cold[0].address), 'not in the block');
});
await check('the fee is what paymentInfo says', async () => {
  const tx = api.tx.system.remark('0x010203');
  const info = await tx.paymentInfo(cold[1]);
  const before = await free(cold[1]);
  await ok(tx, cold[1]);
  const paid = before - (await free(cold[1]));
  must(paid === info.partialFee.toBigInt(), `${paid} paid, ${info.partialFee} estimated`);
  return `${paid} planck`;
});
await check('the other transfers', async () => {
  await ok(api.tx.balances.transferKeepAlive(hot[1].address, ONE), cold[0]);
  await ok(api.tx.balances.transferKeepAlive(hot[2].address, ONE), cold[0]);
  await ok(api.tx.balances.transferKeepAlive(hot[3].address, ONE), cold[0]);
  const rest = key(20);
  await ok(api.tx.balances.transferKeepAlive(rest.address, ONE), cold[0]);
  await ok(api.tx.balances.transferAll(cold[0].address, false), rest);
  must((await free(rest)) === 0n, 'something is left');
});
await check('pipelined transactions by nonce, mortal and immortal', async () => {
  const start = (await api.rpc.system.accountNextIndex(cold[2].address)).toNumber();
  const txs = [2, 0, 1].map((i) => send(api.tx.system.remark([i]), cold[2], { nonce: start + i, era: i === 1 ? 0 : 64 }));
  await Promise.all(txs);
  must((await api.rpc.system.accountNextIndex(cold[2].address)).toNumber() === start + 3, 'nonce');
});
await check('refusals of the pool', async () => {
  const refused = async (f, code, text) => {
    try {
      await f();
    } catch (e) {
      must(String(e).includes(code) && String(e).includes(text), String(e));
      return;
    }
    throw new Error(`not refused: ${text}`);
  };
  const old = await api.tx.system.remark('0x').signAsync(cold[2], { nonce: 0 });
  await refused(() => old.send(), '1010', 'Transaction is outdated');
  const poor = await api.tx.system.remark('0x').signAsync(key(30), { nonce: 0 });
  await refused(() => poor.send(), '1010', 'Inability to pay some fees');
  const done = await api.tx.system.remark('0x77').signAsync(cold[2], { nonce: -1 });
  await done.send();
  await refused(() => done.send(), '1012', 'banned');
  const bad = await api.tx.system.remark('0x78').signAsync(cold[2], { nonce: -1 });
  const bytes = bad.toU8a();
  bytes[30] ^= 1;
  await refused(() => rpc('author_submitExtrinsic', `0x${Buffer.from(bytes).toString('hex')}`), '1010', '');
});
await check('batch, batch_all and sudo', async () => {
  const r = await ok(api.tx.utility.batch([api.tx.system.remark('0x01'), api.tx.balances.transferKeepAlive(hot[0].address, ONE)]), cold[0]);
  must(r.events.some(({ event }) => api.events.utility.BatchCompleted.is(event)), 'no BatchCompleted');
  await ok(api.tx.utility.batchAll([api.tx.system.remark('0x01')]), cold[0]);
  const s = await ok(api.tx.sudo.sudo(api.tx.system.remark('0x02')), cold[0]);
  must(s.events.some(({ event }) => api.events.sudo.Sudid.is(event)), 'no Sudid');
});

const peer = (i) => ({ peerId: `0x${Buffer.from(`12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6n${'ABCDEFGH'[i]}AB`).toString('hex')}`, multiaddr: null });
const L = api.consts.network.epochLength.toNumber();
let sid;
await check('register_subnet', async () => {
  const r = await ok(api.tx.network.registerSubnet(100n * ONE, {
    name: 'subnet', repo: 'github.com/subnet', description: 'one', misc: 'misc', minStake: 100n * ONE, maxStake: 1000n * ONE,
    delegateStakePercentage: ONE / 10n, initialColdkeys: new Map(cold.map((c) => [c.address, 1]).sort(([a], [b]) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1))),
    bootnodes: new Map([[peer(7).peerId, '0x047f000001069830a50303010203']]),
  }), cold[0]);
  const e = r.events.find(({ event }) => api.events.network.SubnetRegistered.is(event));
  must(e, 'no SubnetRegistered');
  sid = e.event.data[e.event.data.names?.indexOf('subnetId') ?? 2].toNumber();
  must((await api.query.network.subnetsData(sid)).isSome, 'no SubnetsData');
  return `subnet ${sid}`;
});
await check('register_subnet_node, add_to_delegate_stake, activate_subnet', async () => {
  for (let i = 0; i < 4; i++) {
    await ok(api.tx.network.registerSubnetNode(sid, hot[i].address, peer(i), null, null, 0, 100n * ONE, null, null, null, ONE), cold[i]);
  }
  await ok(api.tx.network.addToDelegateStake(sid, 1000n * ONE), cold[0]);
  await fails(api.tx.network.proposeAttestation(sid, [], null, null, null, null), hot[0], 'NoElectedValidator'); // soon there is one
  const r = await ok(api.tx.network.activateSubnet(sid), cold[0]);
  must(r.events.some(({ event }) => api.events.network.SubnetActivated.is(event)), 'no SubnetActivated');
});
await check('errors by name', async () => {
  await fails(api.tx.network.activateSubnet(sid), cold[0], 'SubnetActivatedAlready');
  await fails(api.tx.network.activateSubnet(sid), cold[1], 'NotSubnetOwner');
  await fails(api.tx.network.registerSubnetNode(sid, key(40).address, { peerId: '0x3132', multiaddr: null }, null, null, 0, 100n * ONE, null, null, null, ONE), cold[0], 'InvalidPeerId');
});
await check('proof of stake and subnet info by network_ methods', async () => {
  const id = [...Buffer.from(peer(0).peerId.slice(2), 'hex')];
  must((await rpc('network_proofOfStake', sid, id, 0, null)) === true, 'a staked peer is not known');
  must((await rpc('network_proofOfStake', sid, [1, 2, 3], 0, null)) === false, 'a stranger is known');
  const info = await rpc('network_getSubnetInfo', sid);
  must(Array.isArray(info) && info[0] === 1, 'no array of numbers');
  must((await rpc('network_getSubnetNodesInfo', sid))[0] === 4 << 2, 'not four nodes');
});
const epochNow = async () => {
  const slot = (await api.query.network.subnetSlot(sid)).unwrap().toNumber();
  return Math.floor(((await api.rpc.chain.getHeader()).number.toNumber() - slot) / L);
};
await check('an epoch: election, proposal, attestations, rewards', async () => {
  const slot = (await api.query.network.subnetSlot(sid)).unwrap().toNumber();
  const number = async () => (await api.rpc.chain.getHeader()).number.toNumber();
  const epochOf = (b) => Math.floor((b - slot) / L);
  const first = async () => {
    const n = await number();
    await mine((epochOf(n) + 1) * L + slot - n);
    return epochOf(await number());
  };
  let epoch = await first();
  let elected = await api.query.network.subnetElectedValidator(sid, epoch);
  if (elected.isNone) {
    epoch = await first();
    elected = await api.query.network.subnetElectedValidator(sid, epoch);
  }
  const who = elected.unwrap().toNumber();
  const stake = async () => (await api.query.network.accountSubnetStake(hot[who - 1].address, sid)).toBigInt();
  const before = await stake();
  const feeless = await free(hot[who - 1]);
  await ok(api.tx.network.proposeAttestation(sid, [1, 2, 3, 4].map((n) => ({ subnetNodeId: n, score: ONE })), null, null, null, null), hot[who - 1]);
  must((await free(hot[who - 1])) === feeless, 'a proposal that succeeds is free');
  for (const n of [1, 2, 3, 4].filter((n) => n !== who)) {
    await ok(api.tx.network.attest(sid, null), hot[n - 1]);
  }
  await fails(api.tx.network.attest(sid, null), hot[who - 1], 'AlreadyAttested');
  const sub = (await api.query.network.subnetConsensusSubmission(sid, epoch)).unwrap();
  must(sub.attests.size === 4 && sub.data.length === 4, 'submission');
  await first();
  const reward = (await stake()) - before;
  must(reward > ONE / 2n, `reward ${reward}`);
  return `epoch ${epoch}, node ${who} earned ${reward} planck`;
});
await check('add_stake, remove_stake, claim_unbondings', async () => {
  const epoch = await epochNow();
  const elected = (await api.query.network.subnetElectedValidator(sid, epoch)).unwrapOr(0);
  const i = Number(elected) === 1 ? 1 : 0; // the elected one may not unstake
  await ok(api.tx.network.addStake(sid, i + 1, hot[i].address, 10n * ONE), cold[i]);
  await ok(api.tx.network.removeStake(sid, hot[i].address, 5n * ONE), cold[i]);
  await fails(api.tx.network.claimUnbondings(), cold[i], 'NoStakeUnbondingsOrCooldownNotMet');
  await mine(L + 1);
  const before = await free(cold[i]);
  await ok(api.tx.network.claimUnbondings(), cold[i]);
  must((await free(cold[i])) - before > 4n * ONE, 'nothing came back');
});
await check('every storage entry decodes', async () => {
  let entries = 0;
  let values = 0;
  for (const [section, items] of Object.entries(api.query)) {
    for (const [name, q] of Object.entries(items)) {
      if (!q.creator?.meta || section === 'substrate') continue;
      entries++;
      if (q.creator.meta.type.isPlain) {
        await q();
        values++;
      } else {
        values += (await q.entries()).length;
      }
    }
  }
  must(entries > 150, `${entries} entries`);
  return `${values} values of ${entries} entries`;
});
await check('every block and its events decode', async () => {
  let n = (await api.rpc.chain.getHeader()).number.toNumber();
  let events = 0;
  const last = Math.max(1, n - 200);
  for (; n >= last; n--) {
    const hash = await api.rpc.chain.getBlockHash(n);
    await api.rpc.chain.getBlock(hash);
    events += (await (await api.at(hash)).query.system.events()).length;
  }
  return `${events} events`;
});
await check('subscriptions to heads, storage and the runtime version', async () => {
  const seen = { heads: 0, final: 0, storage: 0, version: 0 };
  const stop = await Promise.all([
    api.rpc.chain.subscribeNewHeads(() => seen.heads++),
    api.rpc.chain.subscribeFinalizedHeads(() => seen.final++),
    api.query.system.number(() => seen.storage++),
    api.rpc.state.subscribeRuntimeVersion(() => seen.version++),
  ]);
  await mine(3);
  for (let i = 0; i < 100 && (seen.heads < 4 || seen.final < 4 || seen.storage < 4 || seen.version < 1); i++) await new Promise((r) => setTimeout(r, 50));
  stop.forEach((f) => f());
  must(seen.heads === 4 && seen.final === 4 && seen.storage === 4 && seen.version === 1, JSON.stringify(seen));
});
await check('pause, unpause, remove a node, deactivate', async () => {
  const gone = Number((await api.query.network.subnetElectedValidator(sid, await epochNow())).unwrapOr(0)) === 4 ? 3 : 4;
  await ok(api.tx.network.removeSubnetNode(sid, gone), cold[gone - 1]);
  await ok(api.tx.network.ownerPauseSubnet(sid), cold[0]);
  await mine(L * 2);
  await ok(api.tx.network.ownerUnpauseSubnet(sid), cold[0]);
  const r = await ok(api.tx.network.ownerDeactivateSubnet(sid), cold[0]);
  must(r.events.some(({ event }) => api.events.network.SubnetDeactivated.is(event)), 'no SubnetDeactivated');
});
await check('HTTP provider', async () => {
  const http = new HttpProvider(url.replace('ws', 'http'));
  must((await http.send('chain_getBlockHash', [0])) === api.genesisHash.toHex(), 'another genesis');
});
await check('an unknown block and an unknown method', async () => {
  const text = async (f) => { try { await f(); } catch (e) { return String(e); } return 'no error'; };
  must((await text(() => rpc('state_getStorage', '0x00', `0x${'11'.repeat(32)}`))).includes('4003'), 'unknown block');
  must((await text(() => rpc('nope_nope'))).includes('-32601'), 'unknown method');
});

await api.disconnect();
process.exit(failures ? 1 : 0);
