// The protocol library of Microsoft's client (vscode-languageserver-protocol), which VS Code's client is made of, works on the
// project in the working directory. PROGRAM is the command. It checks each answer's shape with the library's own guards.
const { spawn } = require('child_process');
const fs = require('fs');
const path = require('path');
const assert = require('assert');
const { pathToFileURL } = require('url');
const lsp = require('vscode-languageserver-protocol/node');
const { TextDocument } = require('vscode-languageserver-textdocument');

const server = spawn(process.env.PROGRAM, ['registry', 'lsp', '--stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
const connection = lsp.createProtocolConnection(new lsp.StreamMessageReader(server.stdout), new lsp.StreamMessageWriter(server.stdin));
const uriOf = (name) => pathToFileURL(path.resolve(name)).toString();
const documents = new Map();
const told = new Map();
let waiting = [];

connection.onNotification(lsp.PublishDiagnosticsNotification.type, (params) => {
	params.diagnostics.forEach((d) => assert(lsp.Diagnostic.is(d), JSON.stringify(d)));
	told.set(params.uri, params);
	waiting = waiting.filter((look) => !look());
});
let registered = false;
connection.onRequest(lsp.RegistrationRequest.type, () => { registered = true; });
connection.onError((e) => { throw e; });
connection.listen();

function diagnostics(uri, holds) {
	return new Promise((done, fail) => {
		const timer = setTimeout(() => fail(new Error('no such diagnostics: ' + JSON.stringify(told.get(uri)))), 20000);
		const look = () => {
			const now = told.get(uri);
			if (!now || !holds(now.diagnostics)) return false;
			clearTimeout(timer);
			done(now.diagnostics);
			return true;
		};
		if (!look()) waiting.push(look);
	});
}

function open(name) {
	const uri = uriOf(name);
	const document = TextDocument.create(uri, 'yaml', 1, fs.readFileSync(name, 'utf8'));
	documents.set(uri, document);
	connection.sendNotification(lsp.DidOpenTextDocumentNotification.type,
		{ textDocument: { uri, languageId: 'yaml', version: 1, text: document.getText() } });
	return uri;
}

// change replaces a text by the smallest change, as an editor does.
function change(uri, was, is) {
	const document = documents.get(uri);
	const at = document.getText().indexOf(was);
	assert(at >= 0, was);
	const edit = { range: { start: document.positionAt(at), end: document.positionAt(at + was.length) }, text: is };
	const version = document.version + 1;
	documents.set(uri, TextDocument.update(document, [edit], version));
	connection.sendNotification(lsp.DidChangeTextDocumentNotification.type, { textDocument: { uri, version }, contentChanges: [edit] });
}

function place(uri, what, more = 0) {
	const document = documents.get(uri);
	const at = document.getText().indexOf(what);
	assert(at >= 0, what);
	return { textDocument: { uri }, position: document.positionAt(at + more) };
}

const textOf = (uri) => documents.get(uri)?.getText() ?? fs.readFileSync(new URL(uri), 'utf8');

function applied(edit, uri) {
	assert(lsp.WorkspaceEdit.is(edit), JSON.stringify(edit));
	const document = documents.get(uri) ?? TextDocument.create(uri, 'x', 0, textOf(uri));
	const edits = (edit.documentChanges ?? []).filter((c) => c.textDocument?.uri === uri).flatMap((c) => c.edits);
	return TextDocument.applyEdits(document, edits);
}

async function main() {
	const encodings = process.env.ENCODINGS ? process.env.ENCODINGS.split(',') : undefined;
	const hello = await connection.sendRequest(lsp.InitializeRequest.type, {
		processId: process.pid, rootUri: uriOf('.'), workspaceFolders: [{ uri: uriOf('.'), name: 'lamp' }],
		capabilities: {
			general: encodings && { positionEncodings: encodings },
			workspace: { workspaceEdit: { documentChanges: true, resourceOperations: ['create', 'rename', 'delete'] }, didChangeWatchedFiles: { dynamicRegistration: true } },
			textDocument: {
				codeAction: { codeActionLiteralSupport: { codeActionKind: { valueSet: ['quickfix'] } } },
				documentSymbol: { hierarchicalDocumentSymbolSupport: true }, hover: { contentFormat: ['markdown'] },
			},
		},
	});
	const utf8 = hello.capabilities.positionEncoding === 'utf-8';
	assert.strictEqual(utf8, Boolean(encodings?.includes('utf-8')));
	connection.sendNotification(lsp.InitializedNotification.type, {});
	const schema = open('lamp.yaml');
	await diagnostics(schema, (list) => list.length === 0);
	assert(registered, 'no watch of files was asked for');
	if (utf8) { // the library counts in UTF-16; one line of ASCII behind one of others is the same in both
		change(schema, 'name: lamp', 'summary: "💡"\nname: lamp');
		change(schema, 'type: int, min', 'type: integer, min');
		const [fault] = await diagnostics(schema, (list) => list.length === 1);
		assert.deepStrictEqual(fault.range, { start: place(schema, 'integer').position, end: place(schema, 'integer', 7).position });
		return;
	}

	change(schema, 'level: {type: int, min: 0}', 'level: {choices: ["💡💡é"], type: integer}');
	const [fault] = await diagnostics(schema, (list) => list.length === 1);
	assert.deepStrictEqual(fault.range, { start: place(schema, 'integer').position, end: place(schema, 'integer', 7).position });
	const actions = await connection.sendRequest(lsp.CodeActionRequest.type,
		{ textDocument: { uri: schema }, range: fault.range, context: { diagnostics: [fault] } });
	actions.forEach((a) => assert(lsp.CodeAction.is(a), JSON.stringify(a)));
	assert(applied(actions[0].edit, schema).includes('["💡💡é"], type: int}'));
	change(schema, 'level: {choices: ["💡💡é"], type: integer}', 'level: {type: int, min: 0}');
	await diagnostics(schema, (list) => list.length === 0);

	const items = await connection.sendRequest(lsp.CompletionRequest.type, place(schema, 'storage: v1.level', 'storage: v1.'.length));
	assert(Array.isArray(items.items) && items.items.every((i) => typeof i.label === 'string' && lsp.TextEdit.is(i.textEdit)), JSON.stringify(items));
	assert(items.items.some((i) => i.label === 'v1.wifi.psk'));
	const hover = await connection.sendRequest(lsp.HoverRequest.type, place(schema, 'level: {', 2));
	assert(lsp.Hover.is(hover) && hover.contents.value.includes('request `level`'), JSON.stringify(hover));
	const found = await connection.sendRequest(lsp.ReferencesRequest.type, { ...place(schema, 'level: {', 2), context: { includeDeclaration: true } });
	assert(found.length >= 4 && found.every(lsp.Location.is), JSON.stringify(found));
	const symbols = await connection.sendRequest(lsp.DocumentSymbolRequest.type, { textDocument: { uri: schema } });
	assert(symbols.length >= 4 && symbols.every(lsp.DocumentSymbol.is), JSON.stringify(symbols));
	const folds = await connection.sendRequest(lsp.FoldingRangeRequest.type, { textDocument: { uri: schema } });
	assert(folds.length > 5 && folds.every(lsp.FoldingRange.is));
	const tokens = await connection.sendRequest(lsp.SemanticTokensRequest.type, { textDocument: { uri: schema } });
	assert(tokens.data.length % 5 === 0 && tokens.data.length > 20);

	const name = await connection.sendRequest(lsp.PrepareRenameRequest.type, place(schema, 'level: {', 2));
	assert.strictEqual(name.placeholder, 'level');
	const renamed = await connection.sendRequest(lsp.RenameRequest.type, { ...place(schema, 'level: {', 2), newName: 'brightness' });
	assert(applied(renamed, schema).includes('- {request: brightness, storage: v1.brightness}'));
	assert(applied(renamed, uriOf('tests/lamp.txtar')).includes('set lamp-admin brightness=4'));
	await assert.rejects(connection.sendRequest(lsp.RenameRequest.type, { ...place(schema, 'level: {', 2), newName: 'rooms' }), /beside/);

	// What the protocol has no edit for: the mode of a file.
	fs.mkdirSync('built/meta/hooks', { recursive: true });
	fs.writeFileSync('built/meta/snap.yaml', fs.readFileSync('custodian/snap/snapcraft.yaml', 'utf8').split('apps:')[0]);
	fs.writeFileSync('built/meta/hooks/change-view-lamp-admin', '#!/bin/sh\n', { mode: 0o644 });
	fs.writeFileSync('other.sh', '#!/bin/sh\n', { mode: 0o644 });
	const hook = open('built/meta/hooks/change-view-lamp-admin');
	connection.sendNotification(lsp.DidChangeWatchedFilesNotification.type, { changes: [{ uri: hook, type: 1 }] });
	const [mode] = await diagnostics(hook, (list) => list.some((d) => d.code === 'hook-not-executable'));
	const [chmod] = await connection.sendRequest(lsp.CodeActionRequest.type, { textDocument: { uri: hook }, range: mode.range, context: { diagnostics: [] } });
	await assert.rejects(connection.sendRequest(lsp.ExecuteCommandRequest.type, { command: chmod.command.command, arguments: [uriOf('other.sh')] }));
	await connection.sendRequest(lsp.ExecuteCommandRequest.type, { command: chmod.command.command, arguments: chmod.command.arguments });
	assert(fs.statSync('built/meta/hooks/change-view-lamp-admin').mode & 0o100);
	assert(!(fs.statSync('other.sh').mode & 0o100));
	await diagnostics(hook, (list) => !list.some((d) => d.code === 'hook-not-executable'));

	// One request that cannot be answered does not end the others.
	await assert.rejects(connection.sendRequest('textDocument/hover', { textDocument: 7 }));
	await assert.rejects(connection.sendRequest('textDocument/nothing', {}));
	assert(await connection.sendRequest(lsp.HoverRequest.type, place(schema, 'level: {', 2)));
}

main().then(async () => {
	await connection.sendRequest(lsp.ShutdownRequest.type);
	const ended = new Promise((done) => server.on('exit', done));
	await connection.sendNotification(lsp.ExitNotification.type);
	assert.strictEqual(await ended, 0);
	console.log('done');
	process.exit(0);
}).catch((e) => {
	console.error(e);
	server.kill();
	process.exit(1);
});
