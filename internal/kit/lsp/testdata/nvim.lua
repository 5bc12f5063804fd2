-- Neovim's own client of the language server protocol, without a plug-in, works on the project in the working directory.
-- It runs on Neovim 0.7 and later. PROGRAM is the command; what goes wrong is printed, and ends it with an error.
local program = os.getenv("PROGRAM")
local failed = false
local function check(name, ok, detail)
	print((ok and "ok " or "FAIL ") .. name .. (ok and "" or ": " .. vim.inspect(detail)) .. "\n")
	failed = failed or not ok
end
local function wait(what) return vim.wait(20000, what, 10) end

vim.o.hidden = true
vim.ui.select = function(items, _, choice) choice(items[1]) end
local logged = {}
vim.notify = function(text) table.insert(logged, text) end

local client = vim.lsp.start_client({ cmd = { program, "registry", "lsp" }, root_dir = vim.fn.getcwd(), name = "confdb" })
local function open(name)
	vim.cmd("edit " .. name)
	vim.lsp.buf_attach_client(0, client)
	return vim.api.nvim_get_current_buf()
end
local function lines(buffer) return vim.api.nvim_buf_get_lines(buffer, 0, -1, false) end
local function text(buffer) return table.concat(lines(buffer), "\n") end
local function find(buffer, what)
	for number, line in ipairs(lines(buffer)) do
		local column = line:find(what, 1, true)
		if column then return number, column - 1, line end
	end
	error("no " .. what)
end
local function put(buffer, was, is)
	local number, _, line = find(buffer, was)
	local from, to = line:find(was, 1, true)
	vim.api.nvim_buf_set_lines(buffer, number - 1, number, false, { line:sub(1, from - 1) .. is .. line:sub(to + 1) })
end
local function go(buffer, what, more)
	vim.api.nvim_set_current_buf(buffer)
	local number, column = find(buffer, what)
	vim.api.nvim_win_set_cursor(0, { number, column + (more or 0) })
end
local function ask(method, more)
	local params = vim.tbl_extend("force", vim.lsp.util.make_position_params(0, "utf-16"), more or {})
	local answers = vim.lsp.buf_request_sync(0, method, params, 10000) or {}
	local answer = answers[client] or {}
	if answer.error then table.insert(logged, answer.error.message) end
	return answer.result
end
local function found(buffer, code)
	for _, d in ipairs(vim.diagnostic.get(buffer)) do
		if code == nil or d.code == code or (d.user_data and d.user_data.lsp and d.user_data.lsp.code == code) then return d end
	end
end

local schema = open("lamp.yaml")
check("starts", wait(function() return vim.lsp.buf_is_attached(schema, client) and vim.lsp.get_client_by_id(client) ~= nil
	and vim.lsp.get_client_by_id(client).initialized end), vim.lsp.get_client_by_id(client))

-- A fault, and its quick fix; characters before it take two units of UTF-16, or four bytes.
put(schema, "level: {type: int, min: 0}", 'level: {choices: ["💡💡é"], type: integer}')
check("reports a fault", wait(function() return found(schema, "storage") end), vim.diagnostic.get(schema))
local fault = found(schema, "storage")
check("in the right place", fault and lines(schema)[fault.lnum + 1]:sub(fault.col + 1, fault.end_col) == "integer", fault)
check("with what to do", fault and fault.message:find('did you mean "int"?', 1, true), fault)
go(schema, "integer")
vim.lsp.buf.code_action()
check("mends it", wait(function() return text(schema):find("type: int}", 1, true) end), lines(schema))
put(schema, 'level: {choices: ["💡💡é"], type: int}', "level: {type: int, min: 0}")
check("is content", wait(function() return not found(schema) end), vim.diagnostic.get(schema))

-- A broken document still has completion.
put(schema, "storage: v1.level}", "storage: v1.")
go(schema, "storage: v1.", #"storage: v1." - 1)
vim.api.nvim_win_set_cursor(0, { vim.fn.line("."), #vim.fn.getline(".") })
local function labels(answer)
	local list = {}
	for _, item in ipairs((answer or {}).items or answer or {}) do list[item.label] = true end
	return list
end
local params = vim.lsp.util.make_position_params(0, "utf-16")
params.position.character = #vim.fn.getline(".")
local answer = vim.lsp.buf_request_sync(0, "textDocument/completion", params, 10000)[client].result
check("completes storage paths", labels(answer)["v1.wifi.psk"], answer)
put(schema, "storage: v1.", "storage: v1.level}")

go(schema, "level: {type", 2)
local hover = ask("textDocument/hover")
check("hovers", hover and hover.contents.value:find("view `lamp-state`, request `level`: read", 1, true), hover)
local references = ask("textDocument/references", { context = { includeDeclaration = true } })
check("finds references", references and #references >= 4, references)

-- A hook: the plug leads to its definition, and the reason gets its quotes.
local hook = open("custodian/snap/hooks/change-view-lamp-admin")
go(hook, ":lamp-admin", 3)
local places = ask("textDocument/definition")
check("goes to the plug", places and places[1] and places[1].uri:find("snapcraft.yaml", 1, true), places)
put(hook, "snapctl get --view :lamp-admin level", "snapctl fail too bright")
check("reports the words", wait(function() return found(hook, "hook-fail-words") end), vim.diagnostic.get(hook))
go(hook, "snapctl fail")
vim.lsp.buf.code_action()
check("quotes the reason", wait(function() return text(hook):find('snapctl fail "too bright"', 1, true) end), lines(hook))
put(hook, 'snapctl fail "too bright"', "snapctl get --view :lamp-admin level")
check("is content with the hook", wait(function() return not found(hook) end), vim.diagnostic.get(hook)) -- what Neovim 0.7 has typed it sends late

-- A rename goes through the schema, hooks that are not open, and tests.
go(schema, "level: {type", 2)
vim.lsp.buf.rename("brightness")
check("renames in the schema", wait(function() return text(schema):find("- {request: brightness, storage: v1.brightness}", 1, true) end), lines(schema))
check("renames in a hook", wait(function() return text(hook):find("--view :lamp-admin brightness", 1, true) end), lines(hook))
vim.cmd("wall")
check("renames in a test", table.concat(vim.fn.readfile("tests/lamp.txtar"), "\n"):find('expect lamp-admin \'{"brightness":4}\'', 1, true),
	vim.fn.readfile("tests/lamp.txtar"))

-- A plug with its hooks.
local snap = open("custodian/snap/snapcraft.yaml")
go(snap, "lamp-admin:", 2)
vim.lsp.buf.rename("settings")
check("renames a plug", wait(function() return text(snap):find("  settings:", 1, true) end), lines(snap))
check("renames its hooks", wait(function() return vim.fn.filereadable("custodian/snap/hooks/save-view-settings") == 1 end),
	vim.fn.glob("custodian/snap/hooks/*"))
vim.cmd("silent! wall")
check("says what it should be named", wait(function() return found(snap, "plug-name") end), vim.diagnostic.get(snap))

-- Format, symbols, folds.
put(schema, "revision: 1", "revision:   1")
if vim.lsp.buf.format then vim.lsp.buf.format({ async = false, bufnr = schema }) else
	vim.api.nvim_set_current_buf(schema)
	vim.lsp.buf.formatting_sync(nil, 10000)
end
check("formats", wait(function() return text(schema):find("revision: 1\n", 1, true) end), lines(schema))
vim.api.nvim_set_current_buf(schema)
local symbols = ask("textDocument/documentSymbol")
check("lists symbols", symbols and #symbols >= 4, symbols)
check("finds folds", #(ask("textDocument/foldingRange") or {}) > 5, "none")
check("is asked for nothing twice", #logged == 0, logged)

vim.lsp.stop_client(client)
check("stops", wait(function() return #vim.lsp.get_active_clients() == 0 end), "it runs on")
vim.cmd(failed and "cquit" or "qall!")
