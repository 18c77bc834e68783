"""A facility with every type of the dialect, for the writers of descriptions."""

EVERY_TYPE = """<?xml version="1.0"?>
<facility name="user_all">
  <description>Every type */ of the dialect</description>
  <type name="mode"><enum>
    <label name="READ" value="0x1"/><description>reads</description>
    <label name="WRITE"/><label name="odd name" value="-3"/><label name="odd_name" value="9"/>
  </enum></type>
  <type name="point"><struct>
    <field name="x"><int/></field><field name="y"><uint_fixed size="8"/></field>
  </struct></type>
  <event name="numbers"><description>Plain numbers</description>
    <field name="c"><char/></field><field name="uc"><uchar/></field>
    <field name="s"><short/></field><field name="us"><ushort/></field>
    <field name="i"><int/></field><field name="u"><uint/></field>
    <field name="l"><long/></field><field name="ul"><ulong/></field>
    <field name="z"><size_t/></field><field name="sz"><ssize_t/></field></event>
  <event name="fixed">
    <field name="a"><int_fixed size="1"/></field><field name="c"><int_fixed size="4"/></field>
    <field name="d"><uint_fixed size="8"/></field><field name="o"><off_t/></field></event>
  <event name="texts">
    <field name="text"><string/></field><field name="class"><pointer/></field></event>
  <event name="modes">
    <field name="mode"><typeref name="mode"/></field>
    <field name="own"><enum><label name="A"/></enum></field></event>
  <event name="lists">
    <field name="items"><sequence><uint/><ulong/></sequence></field>
    <field name="four"><array size="4"><int/></array></field></event>
  <event name="nothing" attribute="no_instrument_function"></event>
  <event name="reals">
    <field name="f"><float size="4"/></field><field name="d"><float size="8"/></field></event>
</facility>
"""
DEEP = """
  <event name="deep">
    <field name="p"><typeref name="point"/></field>
    <field name="q"><union>
      <field name="n"><int/></field><field name="w"><ulong/></field></union></field></event>
  <event name="raw" param="buffer">
    <field name="data"><sequence><uint/><uchar/></sequence></field></event>
  <event name="network"><field name="port"><uint_fixed size="2" byte_order="network"/></field>
  </event>
</facility>
"""
"""What some forms cannot say; in place of the end of the other."""
ALL = EVERY_TYPE.replace("</facility>\n", DEEP)
