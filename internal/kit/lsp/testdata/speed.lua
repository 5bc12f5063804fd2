-- Has a second Neovim, with the settings of docs/editor.md, type into long.yaml as a person does, 20 times three keys, and measures
-- from the last key until the diagnostics are on its screen. It prints the median and the longest time, and the medians of three
-- parts: until Neovim tells the server, until the server answers, until the answer is shown.
local nvim = vim.fn.jobstart({ vim.v.progpath, "--embed", "--headless", "-u", "init.lua", "-i", "NONE", "-n" }, { rpc = true })
local function lua(code, ...) return vim.rpcrequest(nvim, "nvim_exec_lua", code, { ... }) end
vim.rpcrequest(nvim, "nvim_command", "edit long.yaml")
assert(vim.wait(20000, function()
	return lua("local c = vim.lsp.get_active_clients()[1] return c ~= nil and c.initialized == true")
end, 10))
lua([[
	-- What is shown is the virtual text of the diagnostics. This Neovim tells the first one when it has changed.
	local client = vim.lsp.get_active_clients()[1]
	local notify, came = client.rpc.notify, 0
	local sent = 0
	client.rpc.notify = function(method, params)
		if method == "textDocument/didChange" then sent = vim.loop.hrtime() end
		return notify(method, params)
	end
	local handler = vim.lsp.handlers["textDocument/publishDiagnostics"]
	vim.lsp.handlers["textDocument/publishDiagnostics"] = function(...)
		came = vim.loop.hrtime()
		return handler(...)
	end
	vim.api.nvim_create_autocmd("DiagnosticChanged", { callback = function()
		local text = ""
		for _, space in pairs(vim.diagnostic.get_namespaces()) do
			local drawn = space.user_data.virt_text_ns
			for _, mark in ipairs(drawn and vim.api.nvim_buf_get_extmarks(0, drawn, 0, -1, { details = true }) or {}) do
				for _, chunk in ipairs(mark[4].virt_text or {}) do text = text .. chunk[1] end
			end
		end
		vim.rpcnotify(1, "nvim_set_var", "shown", { text = text, sent = sent, came = came, at = vim.loop.hrtime() })
	end })
]])
vim.wait(1000)
lua([[vim.fn.search("type: int", "e") vim.cmd("setlocal noautoindent indentexpr=")]])
vim.rpcrequest(nvim, "nvim_input", "a")
local parts = { all = {}, told = {}, answered = {}, drawn = {} }
for i = 1, 20 do
	local keys, want = { "x", "y", "z" }, 'unknown type "intxyz"'
	if i % 2 == 0 then keys, want = { "<BS>", "<BS>", "<BS>" }, nil end
	local began
	for k, key in ipairs(keys) do
		if k > 1 then vim.wait(50) end
		began = vim.loop.hrtime()
		vim.rpcrequest(nvim, "nvim_input", key)
	end
	assert(vim.wait(20000, function()
		local shown = vim.g.shown
		return shown ~= nil and shown.sent > began and (want and shown.text:find(want, 1, true) or not want and shown.text == "")
	end, 1), vim.inspect(vim.g.shown))
	local shown = vim.g.shown
	table.insert(parts.all, shown.at - began)
	table.insert(parts.told, shown.sent - began)
	table.insert(parts.answered, shown.came - shown.sent)
	table.insert(parts.drawn, shown.at - shown.came)
	vim.wait(300)
end
for _, list in pairs(parts) do table.sort(list) end
print(string.format("\nmedian %.1f\nlongest %.1f\ntold %.1f\nanswered %.1f\ndrawn %.1f\n", parts.all[10] / 1e6, parts.all[20] / 1e6,
	parts.told[10] / 1e6, parts.answered[10] / 1e6, parts.drawn[10] / 1e6))
vim.cmd("qall!")
