package redact

import "strings"

// Secret is a line with a secret in it.
type Secret struct {
	Kind   string // as the counters name it
	Line   string
	Secret string
}

// Corpus lists lines that hold a secret, in the ways in which logs come to
// hold them. All are made up; they are put together here so that no scanner
// takes this file for a leak.
func Corpus() []Secret {
	key := func(prefix, rest string) string { return prefix + rest }
	jwt := "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5NXgL0n3I9PlFUP0THsR8U"
	const pw = "S3cret99"
	out := []Secret{
		{"jwt", "session " + jwt + " expired", jwt}, {"jwt", "GET /?token=" + jwt + " 200", jwt},
		{"bearer", "Authorization: Bearer abcDEF123456ghiJKL", "abcDEF123456ghiJKL"}, {"bearer", "Proxy-Authorization: Basic dXNlcjpwYXNzdzByZA==", "dXNlcjpwYXNzdzByZA"},
		{"aws_key", "using " + key("AKIA", "IOSFODNN7EXAMPLE") + " for upload", key("AKIA", "IOSFODNN7EXAMPLE")},
		{"private_key", "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY----- rest", "MIIEow"},
		{"private_key", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n", "b3BlbnNzaC1rZXk"},
		{"private_key", "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBF\n-----END PGP PRIVATE KEY BLOCK-----", "lQOYBF"},
		{"private_key", `{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----\n"}`, "MIIEvQ"},
		{"url_password", "dial postgres://shop:" + pw + "@db:5432/orders: refused", pw}, {"url_password", "redis://:" + pw + "@cache:6379/0", pw},
		{"url_password", "mongodb+srv://bob:" + pw + "@c0.mongodb.net/x", pw}, {"url_password", "ftp://u:" + pw + "@h/", pw}, {"url_password", "jdbc:oracle:thin:scott/" + pw + "@host:1521", pw},
		{"card_number", "paid with 4111111111111111 ok", "4111111111111111"}, {"card_number", "card 5500-0000-0000-0004.", "5500-0000-0000-0004"},
		{"card_number", "amex 3782 822463 10005!", "3782 822463 10005"}, {"card_number", "cc=5105105105105100", "5105105105105100"}, {"card_number", "jcb 3530111333300000", "3530111333300000"},
		{"markup_value", "<user>bob</user><password>" + pw + "</password>", pw}, {"markup_value", `<add key="ApiKey" value="abcdef123456"/>`, "abcdef123456"},
		{"cli_password", "mysql -uroot -p" + pw + " shop", pw}, {"cli_password", "sshpass -p " + pw + " ssh host", pw}, {"cli_password", "curl -s -u bob:" + pw + " http://x", pw},
		{"cli_password", "curl --user bob:" + pw + " http://x", pw}, {"cli_password", "redis-cli -h cache -a " + pw + " ping", pw},
		{"password_text", "the password is " + pw, pw}, {"password_text", "login with password 'hunter' failed", "hunter"}, {"password_text", "Password for bob: " + pw, pw},
	}
	return append(append(out, keyed(pw)...), vendorTokens()...)
}

// keyed lists values of keys that are named like secrets.
func keyed(pw string) (out []Secret) {
	b64 := strings.Repeat("aB3+", 20)
	for _, x := range [][2]string{
		{"login password=%s user=bob", "hunter2"}, {`{"user":"bob","password":"%s"}`, "correct horse battery"}, {`{"msg":"{\"password\":\"%s\"}"}`, "inner value"},
		{"Password: %s", "letmein"}, {"mysql --password %s -h db", pw}, {"psql password=%s", pw}, {"PGPASSWORD=%s psql", pw}, {"MYSQL_PWD=%s mysqldump", "abc"},
		{"passwd=%s", "hunter2"}, {"pwd: %s", "hunter2"}, {"passphrase=%s", "correct-horse"}, {"java -Djavax.net.ssl.keyStorePassword=%s -jar x", "changeit"},
		{"jdbc:mysql://h/db?user=a&password=%s", pw}, {"Server=db;Database=shop;User Id=sa;Password=%s;Encrypt=true", "S3cret!x"}, {"Data Source=db;Uid=sa;Pwd=%s;", "S3cret!x"},
		{"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=%s;EndpointSuffix=core.windows.net", b64}, {"Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=%s", b64},
		{"GET https://x.blob.core.windows.net/c?sv=2020&sig=%s 200", strings.Repeat("aB3%2F", 8)}, {"X-Amz-Signature=%s", strings.Repeat("0a1b", 16)},
		{"AWS_SECRET_ACCESS_KEY=%s", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, {"export GITHUB_TOKEN=%s", "abcdef123"}, {"AZURE_CLIENT_SECRET=%s", "abc8Q~aB3aB3aB3"},
		{"?api_key=%s&x=1", "0123456789abcdef"}, {"X-Auth-Token: %s", "9f8e7d6c5b4a"}, {"X-API-KEY: %s", "abcdef123456"}, {"--api-key %s run", "abcdef123456"}, {"--token=%s", "abcdef"},
		{"--secret '%s'", "x y"}, {"client_secret=%s", "abc"}, {`apiKey: "%s"`, "topsecret"}, {"'secret' => '%s'", "q w e"}, {"refresh_token=%s", "plainword"}, {"access_token=%s", "abc.def.ghi"},
		{"encryption_key=%s", "0a1b2c3d4e5f"}, {"secret_key_base=%s", "abc123def"}, {"Cookie: session=%s; theme=dark", "abc123def456"}, {"Set-Cookie: JSESSIONID=%s; Path=/", "ABCDEF0123456789"},
		{"csrf_token=%s", "abc123"}, {"cvv=%s", "123"}, {"otp=%s", "123456"}, {"pin=%s", "4711"}, {"db.credentials=%s", "bob/x1"},
	} {
		out = append(out, Secret{"keyed_value", strings.Replace(x[0], "%s", x[1], 1), x[1]})
	}
	return out
}

// vendorTokens lists tokens that are known by their issuer's mark.
func vendorTokens() (out []Secret) {
	r := strings.Repeat
	for _, x := range [][2]string{
		{"gh" + "p_", r("aB3", 12)}, {"gh" + "o_", r("aB3", 12)}, {"github" + "_pat_", r("aB3", 12)}, {"gl" + "pat-", r("aB3", 7)}, {"gl" + "ptt-", r("0a1b2c3d", 5)},
		{"xo" + "xb-", "123456789012-abcdefGHIJ"}, {"AI" + "za", r("aB3xY", 7)}, {"ya" + "29.", r("a0AfH6SMB", 8)}, {"GOC" + "SPX-", r("aB3x", 7)}, {"sk_" + "live_", r("4eC39H", 4)}, {"whs" + "ec_", r("aB3", 10)},
		{"s" + "k-", r("aB3", 12)}, {"h" + "f_", r("aBcD", 9)[:34]}, {"hv" + "s.", r("aB3", 10)}, {"np" + "m_", r("aB3", 12)}, {"py" + "pi-", "AgEIcHlwaS5vcmc" + r("aB3", 20)}, {"dckr" + "_pat_", r("aB3", 9)},
		{"do" + "p_v1_", r("0a1b2c3d", 8)}, {"sh" + "pat_", r("0a1b2c3d", 4)}, {"gl" + "sa_", r("aB3x", 8) + "_0a1b2c3d"}, {"NR" + "AK-", r("AB3", 9)}, {"AGE-SECRET" + "-KEY-1", r("QPZRY9X8", 7) + "AB"},
		{"sq" + "0atp-", r("aB3", 8)[:22]}, {"PM" + "AK-", r("0a1b2c3d", 3) + "-" + r("0a1b2c3d", 5)[:34]}, {"ATA" + "TT3", "xFfGF0" + r("aB3", 20)}, {"lin" + "_api_", r("aB3", 14)[:40]}, {"sn" + "trys_", r("aB3", 14)},
		{"EAACEd" + "Eose0cBA", r("aB3", 10)}, {"fi" + "gd_", r("aB3", 14)}, {"S" + "G.", r("aB3xyz", 4)[:22] + "." + r("aB3xyz", 8)[:43]}, {"da" + "pi", r("0a1b2c3d", 4)}, {"S" + "K", r("0a1b2c3d", 4)},
		{"ke" + "y-", r("0a1b2c3d", 4)}, {"12345" + "6789:", "AA" + r("aB3_-", 7)[:33]},
	} {
		out = append(out, Secret{"vendor_token", "sent with " + x[0] + x[1] + " by cart", x[1]})
	}
	return append(out,
		Secret{"vendor_token", "post https://hooks.slack.com/services/T00000000/B00000000/" + r("aB3", 8), r("aB3", 8)},
		Secret{"vendor_token", "https://discord.com/api/webhooks/123456789012345678/" + r("aB3-_", 13), r("aB3-_", 13)})
}
