local before = bytes + report_bytes
expire()
if bytes + report_bytes ~= before then save() end
return summary()
