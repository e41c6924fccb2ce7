// SPDX-License-Identifier: BSD-2-Clause
// One request of node's `coap` through a proxy: node_client.js PROXY-HOST PROXY-PORT PROXY-URI [METHOD [PAYLOAD [non]]]
const coap = require('coap');

const [host, port, proxyUri, method = 'GET', payload = '', non = ''] = process.argv.slice(2);
const request = coap.request({ hostname: host, port: Number(port), proxyUri, method, confirmable: non !== 'non' });

request.on('response', (response) => {
    const chunks = [];
    response.on('data', (chunk) => chunks.push(chunk));
    response.on('end', () => {
        process.stdout.write(JSON.stringify({ code: response.code, payload: Buffer.concat(chunks).toString() }));
        process.exit(0);
    });
});
request.on('error', (error) => {
    process.stderr.write(String(error));
    process.exit(1);
});
request.end(payload);
