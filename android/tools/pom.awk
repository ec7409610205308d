# Turns lines of artifacts.txt into a Maven project that copies them to build/tools/SET.
BEGIN {
  print "<project><modelVersion>4.0.0</modelVersion>"
  print "<groupId>dev.foreword</groupId><artifactId>tools</artifactId><version>1</version>"
  print "<repositories><repository><id>google</id><url>https://maven.google.com</url></repository></repositories>"
  print "<build><plugins><plugin><groupId>org.apache.maven.plugins</groupId>"
  print "<artifactId>maven-dependency-plugin</artifactId><configuration><artifactItems>"
}
{
  split($3, part, ":")
  print "<artifactItem><groupId>" part[1] "</groupId><artifactId>" part[2] "</artifactId>"
  print "<version>" part[3] "</version><type>" part[4] "</type>"
  print "<outputDirectory>${project.basedir}/tools/" $2 "</outputDirectory></artifactItem>"
}
END { print "</artifactItems></configuration></plugin></plugins></build></project>" }
